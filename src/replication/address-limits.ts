/** How large a record of addresses may be: the frames that carry it and its own reader agree on it here. */
import { SIGNATURE_BYTES } from '../core/signature.ts'

export const ADDRESS_URLS_MAX = 4
export const ADDRESS_URL_BYTES_MAX = 256
/** Signature, key, two times, and the addresses. */
export const ADDRESS_BYTES_MAX = SIGNATURE_BYTES + 32 + 2 * 8 + 1 + ADDRESS_URLS_MAX * (2 + ADDRESS_URL_BYTES_MAX)
