/** Which bearer token guards a listener. Only its SHA-256 is ever kept; plain text leaves here once, to be printed. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isLoopback, type ReplicaConfig } from '../config.ts'
import { TributaryError } from '../core/errors.ts'

export const TOKEN_SETTING = 'token_sha256'
const CHARACTERS_MIN = 16

/** Where the hash of a token made at the first start is kept. */
export interface TokenSettings {
  find(key: string): string | undefined
  set(key: string, value: string): void
}

export interface ResolvedToken {
  /** Undefined: none is asked for. Only ever so on loopback. */
  readonly sha256?: string
  /** The token itself, when it was made just now: print it, it can't be told again. */
  readonly made?: string
}

export const hashToken = (token: string): string => createHash('sha256').update(token, 'utf8').digest('hex')

/** Takes as long for a near miss as for a far one. */
export const isToken = (token: string, sha256: string): boolean =>
  timingSafeEqual(Buffer.from(hashToken(token), 'hex'), Buffer.from(sha256, 'hex'))

const makeToken = (): string => `trib_${randomBytes(32).toString('base64url')}`

function readTokenFile(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8').trim()
  } catch (cause) {
    throw new TributaryError('CONFIG_INVALID', `the token file ${path} cannot be read`, {
      hint: 'write a token of at least 16 characters into it, readable by this user alone',
      cause,
    })
  }
  if (text.length < CHARACTERS_MIN || /\s/.test(text))
    throw new TributaryError('CONFIG_INVALID', `the token file ${path} holds no token`, {
      hint: 'it takes one line of at least 16 characters without spaces',
    })
  return text
}

export function resolveToken({
  config,
  settings,
}: {
  readonly config: Pick<ReplicaConfig, 'host' | 'token' | 'tokenFile'>
  readonly settings: TokenSettings
}): ResolvedToken {
  if (config.token !== undefined) return { sha256: hashToken(config.token) }
  if (config.tokenFile !== undefined) return { sha256: hashToken(readTokenFile(config.tokenFile)) }
  if (isLoopback(config.host)) return {}
  const stored = settings.find(TOKEN_SETTING)
  if (stored !== undefined) return { sha256: stored }
  const made = makeToken()
  settings.set(TOKEN_SETTING, hashToken(made))
  return { sha256: hashToken(made), made }
}
