// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

/// The collection that the demo and the tests gate films with. It is a plain OpenZeppelin ERC-721, so that StreamGate
/// is tried on the contract most real collections are made of. Only the owner mints and burns: a test gives and takes
/// away tokens without holding the viewer's key.
contract Token is ERC721, Ownable {
    constructor(string memory name, string memory symbol) ERC721(name, symbol) Ownable(msg.sender) {}

    function mint(address to, uint256 tokenId) external onlyOwner {
        _mint(to, tokenId);
    }

    /// Burns whoever's token it is: the test's way to end a holder's right while a film plays.
    function burn(uint256 tokenId) external onlyOwner {
        _burn(tokenId);
    }
}
