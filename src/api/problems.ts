/** How a failure looks from outside: RFC 9457 problems, one status for each code. A new code needs one to compile. */
import { type ErrorCode, isTributaryError, TributaryError } from '../core/errors.ts'

/** 400: malformed. 422: well-formed, and its content can't be taken. 409: at odds with what is here now. */
export const STATUS: Readonly<Record<ErrorCode, number>> = {
  NOT_CANONICAL: 400,
  ID_INVALID: 400,
  NAME_INVALID: 400,
  DECIMAL_INVALID: 400,
  DIGEST_MISMATCH: 422,

  OP_INVALID: 422,
  CONTRIBUTION_INVALID: 422,
  SIGNATURE_INVALID: 422,
  KEY_INVALID: 422,
  CHAIN_BROKEN: 422,

  PICKLE_REFUSED: 415,
  SAFETENSORS_TRUNCATED: 422,
  SAFETENSORS_TRAILING_BYTES: 422,
  SAFETENSORS_HEADER_TOO_LARGE: 422,
  SAFETENSORS_HEADER_INVALID: 422,
  SAFETENSORS_DUPLICATE_NAME: 422,
  SAFETENSORS_NAME_INVALID: 422,
  SAFETENSORS_DTYPE_UNKNOWN: 422,
  SAFETENSORS_SHAPE_INVALID: 422,
  SAFETENSORS_OFFSETS_INVALID: 422,
  SAFETENSORS_METADATA_INVALID: 422,
  TOO_MANY_TENSORS: 422,
  INDEX_MISMATCH: 422,
  CHECKPOINT_EMPTY: 422,
  PATH_INVALID: 400,
  TENSOR_NOT_FINITE: 422,
  DTYPE_UNSUPPORTED: 422,

  RECIPE_INVALID: 422,
  RECIPE_UNSUPPORTED: 422,
  STRATEGY_NOT_FOUND: 404,
  STRATEGY_VERSION_UNKNOWN: 422,
  STRATEGY_PARAMS_INVALID: 422,
  WEIGHTS_SUM_ZERO: 422,
  WRONG_NUMBER_OF_CONTRIBUTIONS: 422,
  BASE_REQUIRED: 422,
  ROLE_REQUIRED: 422,
  SIDECAR_REQUIRED: 422,
  NOTHING_SELECTED: 422,
  REFERENCE_NOT_FOUND: 404,
  REFERENCE_AMBIGUOUS: 409,
  REFERENCE_NOT_ALLOWED: 422,

  SHAPE_MISMATCH: 422,
  KIND_UNSUPPORTED: 422,
  MERGE_NOT_FINITE: 422,
  MEMORY_BUDGET_TOO_SMALL: 422,
  MERGE_NOT_FOUND: 404,
  MERGE_NOT_DONE: 409,
  MERGE_CANCELLED: 409,
  MANIFEST_MISSING: 409,
  MANIFEST_INVALID: 422,
  BYTES_MISSING: 409,
  OUTPUT_EXISTS: 409,
  OUTPUT_IN_USE: 409,
  WORKER_DIED: 500,

  SPACE_NOT_FOUND: 404,
  SPACE_NAME_TAKEN: 409,
  SPACE_NAME_AMBIGUOUS: 409,
  SLOT_CONFLICT: 409,
  CONTRIBUTION_NOT_FOUND: 404,
  CONTENT_REVOKED: 409,
  RULES_UNKNOWN: 409,
  NOT_ALLOWED: 403,
  SPACE_OPEN: 409,
  MEMBER_NOT_FOUND: 404,
  CREATOR_STAYS: 409,
  ROLE_NOT_LOWERED: 409,
  NOT_FORKED: 409,

  MODEL_NOT_FOUND: 404,
  FILE_NOT_FOUND: 404,
  BLOB_NOT_FOUND: 404,
  UPLOAD_NOT_FOUND: 404,
  UPLOAD_INCOMPLETE: 409,
  UPLOAD_OFFSET_MISMATCH: 409,
  UPLOAD_TOO_LARGE: 400,
  UPLOAD_TRUNCATED: 400,
  RANGE_NOT_SATISFIABLE: 416,

  RECEIPT_NOT_FOUND: 404,
  RECEIPT_INVALID: 422,
  AUDIT_INPUTS_MISSING: 409,
  AUDIT_FAILED: 422,

  REQUEST_INVALID: 400,
  REQUEST_TOO_LARGE: 413,
  ROUTE_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  FRAME_INVALID: 400,
  ADDRESS_REFUSED: 422,
  UPGRADE_REQUIRED: 426,
  HOST_REFUSED: 421,
  ORIGIN_REFUSED: 403,
  UNAUTHORIZED: 401,
  MEDIA_TYPE_UNSUPPORTED: 415,
  TOO_MANY_REQUESTS: 429,
  TIMED_OUT: 408,
  DISK_FULL: 507,
  QUOTA_REACHED: 507,
  STORAGE_FAILED: 500,
  DATABASE_VERSION: 500,
  DATA_DIRECTORY_IN_USE: 500,
  LISTEN_FAILED: 500,
  CONFIG_INVALID: 500,
  USAGE: 400,
  NETWORK: 502,
  SERVER_STOPPING: 503,
  INTERRUPTED: 503,
  INTERNAL: 500,
}

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly instance: string
  readonly code: ErrorCode
  readonly hint?: string
  readonly pointer?: string
  readonly details: TributaryError['details']
}

const spaced = (code: ErrorCode) => code.toLowerCase().replaceAll('_', ' ')

/** Failures of the machine are told in full to the log alone: their words name paths of this machine. */
const tellable = (error: unknown): error is TributaryError => isTributaryError(error) && STATUS[error.code] !== 500

const CLOSED = 'the request failed inside this replica, and nothing was left half done'

export function problemOf(error: unknown, instance: string, requestId: string): Problem {
  const code = isTributaryError(error) ? error.code : 'INTERNAL'
  const told = tellable(error)
  const hint = told ? error.hint : `ask the operator to look for request ${requestId} in the log`
  return {
    type: `urn:tributary:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: spaced(code).replace(/^./, (first) => first.toUpperCase()),
    status: STATUS[code],
    detail: told ? error.message : CLOSED,
    instance,
    code,
    ...(hint === undefined ? {} : { hint }),
    ...(told && error.pointer !== undefined ? { pointer: error.pointer } : {}),
    details: told ? error.details : { request: requestId },
  }
}
