// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721Enumerable} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721Enumerable.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

/// A collection that keeps its metadata on the chain and can be enumerated, as many avatars and badges do: the wallet's
/// tokens and each token's attributes can be read without any web server. The owner sets attributes, and can make the
/// collection answer with another URI or with a huge one.
contract Traits is ERC721Enumerable, Ownable {
    struct Attribute {
        string trait;
        string value;
    }

    mapping(uint256 tokenId => Attribute[]) private attributes;
    string private otherUri;
    uint256 private padding;

    constructor(string memory name, string memory symbol) ERC721(name, symbol) Ownable(msg.sender) {}

    function mint(address to, uint256 tokenId) external onlyOwner {
        _mint(to, tokenId);
    }

    function burn(uint256 tokenId) external onlyOwner {
        _burn(tokenId);
    }

    /// Adds an attribute, or changes it. Both texts go into the JSON as they are: nothing is escaped.
    function setTrait(uint256 tokenId, string calldata trait, string calldata value) external onlyOwner {
        Attribute[] storage known = attributes[tokenId];
        for (uint256 i = 0; i < known.length; i++) {
            if (Strings.equal(known[i].trait, trait)) {
                known[i].value = value;
                return;
            }
        }
        known.push(Attribute(trait, value));
    }

    /// Every token answers this URI, whatever it is; empty: each its own again.
    function setUri(string calldata uri) external onlyOwner {
        otherUri = uri;
    }

    /// So many bytes more in every description: a URI as large as a node lets through.
    function setPadding(uint256 bytesMore) external onlyOwner {
        padding = bytesMore;
    }

    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        _requireOwned(tokenId);
        if (bytes(otherUri).length > 0) {
            return otherUri;
        }
        Attribute[] storage known = attributes[tokenId];
        bytes memory list;
        for (uint256 i = 0; i < known.length; i++) {
            list = abi.encodePacked(
                list, i == 0 ? "" : ",", '{"trait_type":"', known[i].trait, '","value":"', known[i].value, '"}'
            );
        }
        // New bytes are zero, and a zero is no character of a JSON string: dots. The last word may run over the end, but
        // not over what was set aside, which is whole words.
        bytes memory description = new bytes(padding);
        assembly {
            let end := add(add(description, 32), mload(description))
            for { let at := add(description, 32) } lt(at, end) { at := add(at, 32) } {
                mstore(at, 0x2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e)
            }
        }
        return string.concat(
            "data:application/json;base64,",
            Base64.encode(
                abi.encodePacked(
                    '{"name":"', name(), " ", Strings.toString(tokenId), '","description":"', description,
                    '","attributes":[', list, "]}"
                )
            )
        );
    }
}
