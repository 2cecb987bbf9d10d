// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// Checks a contract wallet's signature in one eth_call that deploys nothing: the call's data are this creation code and
/// (address signer, bytes32 hash, bytes signature), and what the constructor answers in place of code is one byte,
/// 0x01 for valid and 0x00 for not. Written from the text of EIP-6492 and EIP-1271.
///
/// A signature that ends in EIP-6492's magic word carries the way to create a wallet that isn't there yet. The factory is
/// called only where the signer has no code: a wallet that is there answers for itself, and nothing in a signature can
/// prepare it. Who has no code in the end is no contract wallet: plain keys are checked elsewhere, and are 0x00 here.
///
/// No signature makes this revert. Whatever a wallet or factory does (reverts, burns its gas, answers too little or too
/// much) is "not valid": a call gets at most 63/64 of the gas, and no more than one word of an answer is copied.
contract SignatureValidator {
    bytes32 private constant MAGIC_SUFFIX = 0x6492649264926492649264926492649264926492649264926492649264926492;
    bytes4 private constant VALID = 0x1626ba7e;

    constructor(address signer, bytes32 hash, bytes memory signature) {
        bool valid = _isValid(signer, hash, signature);
        assembly {
            mstore8(0, valid)
            return(0, 1)
        }
    }

    function _isValid(address signer, bytes32 hash, bytes memory signature) private returns (bool) {
        if (_endsInMagic(signature)) {
            (bool inForm, address factory, bytes memory order, bytes memory inner) = _unwrap(signature);
            if (!inForm) return false;
            if (signer.code.length == 0) {
                assembly {
                    // Whether it worked shows in the signer's code.
                    pop(call(gas(), factory, 0, add(order, 32), mload(order), 0, 0))
                }
            }
            signature = inner;
        }
        if (signer.code.length == 0) return false;
        return _walletAgrees(signer, hash, signature);
    }

    function _walletAgrees(address wallet, bytes32 hash, bytes memory signature) private view returns (bool agrees) {
        bytes memory question = abi.encodeWithSelector(VALID, hash, signature);
        assembly {
            // A static call: asking must change nothing. Two conditions on the answer: one word, and this word.
            let answered := staticcall(gas(), wallet, add(question, 32), mload(question), 0, 32)
            agrees := and(and(answered, eq(returndatasize(), 32)), eq(mload(0), VALID))
        }
    }

    function _endsInMagic(bytes memory signature) private pure returns (bool ends) {
        uint256 length = signature.length;
        if (length < 32) return false;
        assembly {
            ends := eq(mload(add(signature, length)), MAGIC_SUFFIX)
        }
    }

    /// Reads abi.encode(address, bytes, bytes) before the magic word. By hand, because abi.decode reverts on bad input.
    function _unwrap(bytes memory signature)
        private
        pure
        returns (bool inForm, address factory, bytes memory order, bytes memory inner)
    {
        uint256 length = signature.length - 32;
        if (length < 96) return (false, factory, order, inner);
        uint256 word = _wordAt(signature, 0);
        if (word > type(uint160).max) return (false, factory, order, inner);
        factory = address(uint160(word));
        bool innerInForm;
        (inForm, order) = _bytesAt(signature, length, _wordAt(signature, 32));
        (innerInForm, inner) = _bytesAt(signature, length, _wordAt(signature, 64));
        inForm = inForm && innerInForm;
    }

    /// A `bytes` whose length stands at `offset`; all of it must lie before `end`.
    function _bytesAt(bytes memory data, uint256 end, uint256 offset) private pure returns (bool, bytes memory part) {
        if (offset > end || end - offset < 32) return (false, part);
        uint256 size = _wordAt(data, offset);
        if (size > end - offset - 32) return (false, part);
        part = new bytes(size);
        assembly {
            mcopy(add(part, 32), add(add(data, 64), offset), size)
        }
        return (true, part);
    }

    function _wordAt(bytes memory data, uint256 offset) private pure returns (uint256 word) {
        assembly {
            word := mload(add(add(data, 32), offset))
        }
    }
}
