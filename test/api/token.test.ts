import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hashToken, isToken, resolveToken, TOKEN_SETTING } from '../../src/api/token.ts'
import { refusalOf } from '../support/refusal.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

const settingsOf = (stored = new Map<string, string>()) => ({
  stored,
  find: (key: string) => stored.get(key),
  set: (key: string, value: string) => void stored.set(key, value),
})
const loopback = { host: '127.0.0.1', token: undefined, tokenFile: undefined }
const beyond = { ...loopback, host: '0.0.0.0' }

test('[SEC-6] beyond loopback a token is made once, told once, and kept as its SHA-256', () => {
  const settings = settingsOf()
  const first = resolveToken({ config: beyond, settings })
  expect(first.made).toMatch(/^trib_[A-Za-z0-9_-]{43}$/)
  expect([...settings.stored]).toEqual([[TOKEN_SETTING, hashToken(first.made!)]])
  const second = resolveToken({ config: beyond, settings })
  expect(second).toEqual({ sha256: first.sha256 })
  expect(isToken(first.made!, second.sha256!)).toBe(true)
  expect(isToken(`${first.made!}x`, second.sha256!)).toBe(false)
  expect(resolveToken({ config: beyond, settings: settingsOf() }).made).not.toBe(first.made)
})

test('[SEC-6] a token that is given comes first, and is not stored', async () => {
  const settings = settingsOf(new Map([[TOKEN_SETTING, hashToken('an earlier one')]]))
  const path = join(await temporaryDirectory(), 'token')
  writeFileSync(path, 'a-token-from-a-file\n')
  const both = { ...beyond, token: 'a-token-from-the-environment', tokenFile: path }
  expect(resolveToken({ config: both, settings })).toEqual({ sha256: hashToken('a-token-from-the-environment') })
  const file = { ...loopback, tokenFile: path }
  expect(resolveToken({ config: file, settings })).toEqual({ sha256: hashToken('a-token-from-a-file') })
  expect(settings.stored.get(TOKEN_SETTING)).toBe(hashToken('an earlier one'))
})

test('[SEC-6] on loopback none is made', () => {
  const settings = settingsOf()
  for (const host of ['127.0.0.1', 'localhost', '::1', '127.9.9.9'])
    expect(resolveToken({ config: { ...loopback, host }, settings })).toEqual({})
  expect(settings.stored.size).toBe(0)
})

test.each([
  ['missing', undefined],
  ['short', 'short\n'],
  ['empty', ''],
  ['of two lines', 'one-token-of-one-line\nanother-token-of-another'],
])('[SEC-6] a token file that is %s is refused by its path', async (_, content) => {
  const path = join(await temporaryDirectory(), 'token')
  if (content !== undefined) writeFileSync(path, content)
  const refusal = refusalOf(() => resolveToken({ config: { ...beyond, tokenFile: path }, settings: settingsOf() }))
  expect(refusal.code).toBe('CONFIG_INVALID')
  expect(refusal.message).toContain(path)
  expect(refusal.message + refusal.hint!).not.toContain('another')
})
