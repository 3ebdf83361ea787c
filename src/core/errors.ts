/**
 * Failures a caller can act on. A code is public contract: never renamed, never reused. Bugs are `invariant`, not these.
 * Every error says what, where and why in `message`, and the one thing to do next in `hint`.
 */
export const ERROR_CODES = [
  // identity and encoding
  'NOT_CANONICAL', // bytes that are not the canonical form of what they say
  'ID_INVALID', // text that is not an id of the kind wanted
  'NAME_INVALID', // a space or slot name outside the allowed form
  'DECIMAL_INVALID', // a number that is not a finite decimal
  'DIGEST_MISMATCH', // bytes that are not what their name says
  // ops
  'OP_INVALID', // an op record that breaks its schema
  'CONTRIBUTION_INVALID', // a contribution record that breaks its schema, or is too large for an op
  'SIGNATURE_INVALID',
  'KEY_INVALID', // not an Ed25519 private key
  'CHAIN_BROKEN', // an op whose prev is not the op before it
  // tensors
  'PICKLE_REFUSED', // a format that runs code when it is opened
  'SAFETENSORS_TRUNCATED', // fewer bytes than the header promises
  'SAFETENSORS_TRAILING_BYTES', // more bytes than the header promises
  'SAFETENSORS_HEADER_TOO_LARGE',
  'SAFETENSORS_HEADER_INVALID', // not strict JSON of the expected form
  'SAFETENSORS_DUPLICATE_NAME',
  'SAFETENSORS_NAME_INVALID',
  'SAFETENSORS_DTYPE_UNKNOWN',
  'SAFETENSORS_SHAPE_INVALID',
  'SAFETENSORS_OFFSETS_INVALID', // holes, overlaps, or a length that is not shape × dtype
  'SAFETENSORS_METADATA_INVALID',
  'TOO_MANY_TENSORS',
  'INDEX_MISMATCH', // an index that names tensors or shards that are not there
  'CHECKPOINT_EMPTY', // a directory without a safetensors file
  'PATH_INVALID', // a file path inside a model that is not plain
  'TENSOR_NOT_FINITE', // NaN or infinity in an input
  'DTYPE_UNSUPPORTED', // a dtype that cannot be merged or written
  // recipes and strategies
  'RECIPE_INVALID',
  'RECIPE_UNSUPPORTED', // understood, and not offered (mergekit features)
  'STRATEGY_NOT_FOUND',
  'STRATEGY_VERSION_UNKNOWN',
  'STRATEGY_PARAMS_INVALID',
  'WEIGHTS_SUM_ZERO',
  'WRONG_NUMBER_OF_CONTRIBUTIONS',
  'BASE_REQUIRED',
  'ROLE_REQUIRED',
  'SIDECAR_REQUIRED',
  'NOTHING_SELECTED',
  'REFERENCE_NOT_FOUND',
  'REFERENCE_AMBIGUOUS',
  'REFERENCE_NOT_ALLOWED', // a path where only content may be named
  // merging
  'SHAPE_MISMATCH', // inputs disagree about a tensor, and the recipe says error
  'KIND_UNSUPPORTED', // adapters or deltas where whole models are wanted
  'MERGE_NOT_FINITE', // an output element that is not finite after rounding
  'MEMORY_BUDGET_TOO_SMALL',
  'MERGE_NOT_FOUND',
  'MERGE_NOT_DONE',
  'MERGE_CANCELLED',
  'MANIFEST_MISSING',
  'MANIFEST_INVALID', // a model's manifest that breaks its form or contradicts itself
  'BYTES_MISSING',
  'OUTPUT_EXISTS',
  'OUTPUT_IN_USE', // another merge is writing there
  'WORKER_DIED',
  // spaces
  'SPACE_NOT_FOUND',
  'SPACE_NAME_TAKEN',
  'SPACE_NAME_AMBIGUOUS',
  'SLOT_CONFLICT',
  'CONTRIBUTION_NOT_FOUND',
  'CONTENT_REVOKED',
  'RULES_UNKNOWN',
  'NOT_ALLOWED', // the author lacks the authority that the op needs
  'SPACE_OPEN', // an open space has no members to manage
  'MEMBER_NOT_FOUND',
  'CREATOR_STAYS', // the creator of a space is its admin for ever
  'ROLE_NOT_LOWERED', // the highest role that was given counts, until the member is removed
  'NOT_FORKED', // an amnesty for a key that never signed two ops for one place
  // models and uploads
  'MODEL_NOT_FOUND',
  'FILE_NOT_FOUND',
  'BLOB_NOT_FOUND',
  'UPLOAD_NOT_FOUND',
  'UPLOAD_INCOMPLETE',
  'UPLOAD_OFFSET_MISMATCH',
  'UPLOAD_TOO_LARGE', // more bytes than were announced
  'UPLOAD_TRUNCATED', // fewer bytes than were announced
  'RANGE_NOT_SATISFIABLE',
  // audit
  'RECEIPT_NOT_FOUND',
  'RECEIPT_INVALID', // not a receipt, or ids that do not name what they stand by
  'AUDIT_INPUTS_MISSING',
  'AUDIT_FAILED',
  // replication
  'FRAME_INVALID', // a frame of a peer that is malformed, or larger than its type may be
  // the service around it
  'REQUEST_INVALID',
  'REQUEST_TOO_LARGE',
  'ROUTE_NOT_FOUND',
  'METHOD_NOT_ALLOWED', // the path is known, this verb of it is not
  'ADDRESS_REFUSED', // a peer's address that others told us and that we don't dial
  'UPGRADE_REQUIRED', // a websocket is wanted here
  'HOST_REFUSED',
  'ORIGIN_REFUSED',
  'UNAUTHORIZED',
  'MEDIA_TYPE_UNSUPPORTED',
  'TOO_MANY_REQUESTS',
  'TIMED_OUT',
  'DISK_FULL',
  'QUOTA_REACHED', // more bytes of other replicas than may be kept for a space
  'STORAGE_FAILED',
  'DATABASE_VERSION', // SQLite too old, or a schema newer than this program
  'DATA_DIRECTORY_IN_USE',
  'LISTEN_FAILED', // the address to listen on is taken, or not this machine's
  'CONFIG_INVALID',
  'USAGE',
  'NETWORK',
  'INTERRUPTED', // ended by Ctrl-C or a signal, cleanly
  'SERVER_STOPPING',
  'INTERNAL',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]
export type Details = Readonly<Record<string, string | number | boolean | readonly string[]>>

export interface ErrorExtras {
  /** Facts for machines: ids, sizes, names. */
  readonly details?: Details
  /** The one thing to do next. */
  readonly hint?: string
  /** JSON pointer to the field at fault, where the input was a document. */
  readonly pointer?: string
  /** The driver's own error. */
  readonly cause?: unknown
}

export class TributaryError extends Error {
  override readonly name = 'TributaryError'
  readonly code: ErrorCode
  readonly details: Details
  readonly hint: string | undefined
  readonly pointer: string | undefined

  constructor(code: ErrorCode, message: string, { details = {}, hint, pointer, cause }: ErrorExtras = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
    this.hint = hint
    this.pointer = pointer
  }
}

export const isTributaryError = (error: unknown): error is TributaryError => error instanceof TributaryError
