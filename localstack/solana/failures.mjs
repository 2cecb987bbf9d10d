// The native VM's failures as the RPC writes them.

// In the order of the VM's own lists (TransactionErrorFieldless and InstructionErrorFieldless of its type
// definitions), which it does not export by name.
const TRANSACTION = (
  "AccountInUse AccountLoadedTwice AccountNotFound ProgramAccountNotFound InsufficientFundsForFee " +
  "InvalidAccountForFee AlreadyProcessed BlockhashNotFound CallChainTooDeep MissingSignatureForFee " +
  "InvalidAccountIndex SignatureFailure InvalidProgramForExecution SanitizeFailure ClusterMaintenance " +
  "AccountBorrowOutstanding WouldExceedMaxBlockCostLimit UnsupportedVersion InvalidWritableAccount " +
  "WouldExceedMaxAccountCostLimit WouldExceedAccountDataBlockLimit TooManyAccountLocks AddressLookupTableNotFound " +
  "InvalidAddressLookupTableOwner InvalidAddressLookupTableData InvalidAddressLookupTableIndex " +
  "InvalidRentPayingAccount WouldExceedMaxVoteCostLimit WouldExceedAccountDataTotalLimit " +
  "MaxLoadedAccountsDataSizeExceeded ResanitizationNeeded InvalidLoadedAccountsDataSizeLimit " +
  "UnbalancedTransaction ProgramCacheHitMaxLimit CommitCancelled"
).split(" ");
const INSTRUCTION = (
  "GenericError InvalidArgument InvalidInstructionData InvalidAccountData AccountDataTooSmall InsufficientFunds " +
  "IncorrectProgramId MissingRequiredSignature AccountAlreadyInitialized UninitializedAccount " +
  "UnbalancedInstruction ModifiedProgramId ExternalAccountLamportSpend ExternalAccountDataModified " +
  "ReadonlyLamportChange ReadonlyDataModified DuplicateAccountIndex ExecutableModified RentEpochModified " +
  "NotEnoughAccountKeys AccountDataSizeChanged AccountNotExecutable AccountBorrowFailed AccountBorrowOutstanding " +
  "DuplicateAccountOutOfSync InvalidError ExecutableDataModified ExecutableLamportChange " +
  "ExecutableAccountNotRentExempt UnsupportedProgramId CallDepth MissingAccount ReentrancyNotAllowed " +
  "MaxSeedLengthExceeded InvalidSeeds InvalidRealloc ComputationalBudgetExceeded PrivilegeEscalation " +
  "ProgramEnvironmentSetupFailure ProgramFailedToComplete ProgramFailedToCompile Immutable IncorrectAuthority " +
  "AccountNotRentExempt InvalidAccountOwner ArithmeticOverflow UnsupportedSysvar IllegalOwner " +
  "MaxAccountsDataAllocationsExceeded MaxAccountsExceeded MaxInstructionTraceLengthExceeded " +
  "BuiltinProgramsMustConsumeComputeUnits BorshIoError"
).split(" ");

/** `{"InstructionError":[0,{"Custom":1}]}`, `"BlockhashNotFound"` and the like. */
export function describe(native, error) {
  if (typeof error === "number") return TRANSACTION[error];
  if (error instanceof native.TransactionErrorInstructionError) {
    return { InstructionError: [error.index, instruction(native, error.err())] };
  }
  if (error instanceof native.TransactionErrorDuplicateInstruction) return { DuplicateInstruction: error.index };
  if (error instanceof native.TransactionErrorInsufficientFundsForRent) {
    return { InsufficientFundsForRent: { account_index: error.accountIndex } };
  }
  return { ProgramExecutionTemporarilyRestricted: { account_index: error.accountIndex } };
}

function instruction(native, error) {
  if (typeof error === "number") return INSTRUCTION[error];
  if (error instanceof native.InstructionErrorCustom) return { Custom: error.code };
  return "BorshIoError";
}

/** One line for people, in the words of a validator where it is a program's own error. */
export function sentence(error) {
  const [index, inner] = error?.InstructionError ?? [];
  if (inner === undefined) return typeof error === "string" ? error : JSON.stringify(error);
  const what = inner.Custom === undefined ? String(inner) : `custom program error: 0x${inner.Custom.toString(16)}`;
  return `Error processing Instruction ${index}: ${what}`;
}
