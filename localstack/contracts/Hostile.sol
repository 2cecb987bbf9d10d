// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// A contract that means no good: whatever function it is asked, it does the one thing it was made for. Anybody can deploy
/// such a contract and name it in a policy or sign in with it as a wallet.
contract Hostile {
    enum Mode {
        /// The number 1: a balance, a yes, a membership. It is no EIP-1271 answer.
        ALWAYS_TRUE,
        /// Burns all the gas it was given, at once.
        BURN,
        /// Burns it by working, which takes the node's time too.
        LOOP,
        /// `size` bytes, which the node and its caller have to carry.
        FLOOD,
        /// One byte less than a word.
        SHORT,
        /// Nothing.
        EMPTY,
        /// Reverts with a reason of `size` bytes.
        REVERT,
        /// EIP-1271's word for a valid signature, and more behind it.
        MAGIC_LONG,
        /// Its four bytes alone.
        MAGIC_SHORT,
        /// A word that begins with them and goes on.
        MAGIC_DIRTY,
        /// The right word, but as the reason of a revert.
        MAGIC_REVERT,
        /// The right word, after a write that a question must not make.
        MAGIC_WRITING
    }

    Mode private immutable mode;
    uint256 private immutable size;
    uint256 private written;

    constructor(Mode mode_, uint256 size_) {
        mode = mode_;
        size = size_;
    }

    fallback() external {
        Mode does = mode;
        uint256 length = size;
        if (does == Mode.ALWAYS_TRUE) {
            assembly {
                mstore(0, 1)
                return(0, 32)
            }
        } else if (does == Mode.BURN) {
            assembly {
                invalid()
            }
        } else if (does == Mode.LOOP) {
            for (uint256 i = 0; true; i++) {}
        } else if (does == Mode.FLOOD) {
            assembly {
                // Writing costs more than asking for memory: only the first word is filled, the rest is zero.
                mstore(0, not(0))
                return(0, length)
            }
        } else if (does == Mode.SHORT) {
            assembly {
                mstore(0, 1)
                return(0, 31)
            }
        } else if (does == Mode.REVERT) {
            assembly {
                revert(0, length)
            }
        } else if (does >= Mode.MAGIC_LONG) {
            if (does == Mode.MAGIC_WRITING) written++;
            assembly {
                // The modes' numbers: 7 long, 8 short, 9 dirty, 10 revert, 11 writing.
                mstore(0, 0x1626ba7e00000000000000000000000000000000000000000000000000000000)
                switch does
                case 7 { return(0, 64) }
                case 8 { return(0, 4) }
                case 9 { mstore8(31, 1) }
                case 10 { revert(0, 32) }
                return(0, 32)
            }
        }
    }
}
