//! What a node's error answer means: a contract that fails, or a node that does.

use adapter_provider::Failure;
use alloy::rpc::json_rpc::ErrorPayload;

/// Said of a call that halts exceptionally, which takes all the gas it was given.
pub(crate) const BURNS: &str = "uses up all gas";

/// Why a node did not answer a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// The contract reverted.
    Reverted,
    /// The call ran out of gas, or broke a rule of the machine.
    Burnt,
    /// The node does not take a question of this form.
    Form,
    /// The node lacks the block: it lags, or there was a reorganisation.
    NoBlock,
    /// The node has no time for us.
    Busy,
    /// The node's trouble, or what we can't tell: its error code.
    Trouble(i64),
}

impl From<Told> for Failure {
    fn from(told: Told) -> Self {
        match told {
            Told::NoBlock => Self::Behind,
            Told::Busy => Self::Busy,
            Told::Trouble(code) => Self::Error(code),
            // Said of what no contract has a say in.
            Told::Reverted | Told::Burnt | Told::Form => Self::Garbage,
        }
    }
}

/// In which words nodes say so: geth, erigon, reth, nethermind, besu, anvil. In this order: an
/// "execution reverted: out of gas" is a revert, whoever wrote that reason.
const WORDS: [(&str, Told); 15] = [
    ("revert", Told::Reverted),
    ("out of gas", Told::Burnt),
    ("outofgas", Told::Burnt),
    ("out_of_gas", Told::Burnt),
    ("intrinsic gas", Told::Burnt),
    ("gas uint64 overflow", Told::Burnt),
    ("invalid opcode", Told::Burnt),
    ("invalidfeopcode", Told::Burnt),
    ("opcodenotfound", Told::Burnt),
    ("invalid jump", Told::Burnt),
    ("invalidjump", Told::Burnt),
    ("stack underflow", Told::Burnt),
    ("stack limit reached", Told::Burnt),
    ("return data out of bounds", Told::Burnt),
    ("write protection", Told::Burnt),
];

/// What an error answer to a call means.
pub(crate) fn told<T>(error: &ErrorPayload<T>) -> Told {
    // Geth's code for a revert; its text may be anything.
    if error.code == 3 {
        return Told::Reverted;
    }
    let message = error.message.to_ascii_lowercase();
    // Before the words: "limit" may stand in both, and a busy node must not speak for a contract.
    if error.code == 429 || error.code == -32005 || message.contains("rate limit") {
        return Told::Busy;
    }
    if let Some((_, told)) = WORDS.iter().find(|(words, _)| message.contains(words)) {
        return *told;
    }
    // Before the block's words: what is refused may be named in it, as `requireCanonical`.
    if matches!(error.code, -32602 | -32600) {
        return Told::Form;
    }
    let block = ["header not found", "header for hash", "unknown block", "block not found"];
    if error.code == -32001
        || block.iter().any(|words| message.contains(words))
        || message.contains("canonical")
    {
        return Told::NoBlock;
    }
    Told::Trouble(error.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i64, message: &'static str) -> Told {
        told(&ErrorPayload::<()> { code, message: message.into(), data: None })
    }

    #[test]
    fn contracts_and_nodes_are_told_apart() {
        for (code, message, expected) in [
            (3, "execution reverted: whatever", Told::Reverted),
            (-32000, "execution reverted", Told::Reverted),
            (-32015, "VM execution error: Reverted 0x", Told::Reverted),
            (-32000, "out of gas", Told::Burnt),
            (-32003, "Out of gas: gas required exceeds allowance: 30000000", Told::Burnt),
            (-32603, "EVM error InvalidFEOpcode", Told::Burnt),
            (-32000, "invalid opcode: INVALID", Told::Burnt),
            (-32602, "invalid argument 1: unknown field requireCanonical", Told::Form),
            (-32000, "header not found", Told::NoBlock),
            (-32000, "hash 0x12 is not currently canonical", Told::NoBlock),
            (-32001, "resource not found", Told::NoBlock),
            (-32005, "execution reverted by our rate limit", Told::Busy),
            (429, "too many requests", Told::Busy),
            (-32603, "internal error", Told::Trouble(-32603)),
            (-32000, "execution aborted (timeout = 5s)", Told::Trouble(-32000)),
        ] {
            assert_eq!(of(code, message), expected, "{code} {message}");
        }
    }
}
