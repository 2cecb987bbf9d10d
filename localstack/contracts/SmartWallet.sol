// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC1155Holder} from "@openzeppelin/contracts/token/ERC1155/utils/ERC1155Holder.sol";
import {ERC721Holder} from "@openzeppelin/contracts/token/ERC721/utils/ERC721Holder.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// A wallet that is a contract and belongs to one key: it signs by EIP-1271, holds tokens, and does what its owner says.
contract SmartWallet is ERC721Holder, ERC1155Holder {
    bytes4 private constant VALID = 0x1626ba7e;
    bytes4 private constant NOT_VALID = 0xffffffff;

    address public immutable owner;
    /// Whether it refuses every signature, its owner's too.
    bool public refusing;

    error NotTheOwner();

    constructor(address owner_) {
        owner = owner_;
    }

    receive() external payable {}

    /// EIP-1271. The hash is signed as it is: a wallet for real money would bind it to its own address and chain.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecover(hash, signature);
        bool valid = !refusing && problem == ECDSA.RecoverError.NoError && signer == owner;
        return valid ? VALID : NOT_VALID;
    }

    function setRefusing(bool refuse) external {
        if (msg.sender != owner) revert NotTheOwner();
        refusing = refuse;
    }

    /// Calls another contract as the wallet, for example to transfer or to delegate what it holds.
    function execute(address to, bytes calldata data) external returns (bytes memory) {
        if (msg.sender != owner) revert NotTheOwner();
        (bool done, bytes memory answer) = to.call(data);
        if (!done) {
            assembly {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }
}
