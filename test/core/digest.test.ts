import { expect, test } from 'vitest'
import { concat, hex, utf8 } from '../../src/core/bytes.ts'
import { type Canonical, canonicalBytes } from '../../src/core/canonical.ts'
import { digestBytes, digestOf, DOMAINS, type Domain, domainPrefix, sha256, sha256Hex } from '../../src/core/digest.ts'
import { golden } from '../support/golden.ts'
import { refusalOf } from '../support/refusal.ts'

const domains = Object.keys(DOMAINS) as Domain[]

test('[DIG-1] a digest is SHA-256 of domain, a zero byte and the canonical form, as Python has it', () => {
  const { digests } = golden<{ digests: { domain: string; value: Canonical; id: string }[] }>('identity')
  const seen = new Set<Domain>()
  for (const { domain, value, id } of digests) {
    const known = domains.find((one) => DOMAINS[one] === `tributary/${domain}/v1`)!
    seen.add(known)
    expect(digestOf(known, value)).toBe(id)
    expect(digestBytes(known, canonicalBytes(value))).toBe(id)
  }
  expect([...seen].sort()).toEqual([...domains].sort())
})

test('[DIG-2] the domains are these twelve, and none begins another', () => {
  expect(Object.values(DOMAINS).sort()).toEqual(
    'about clock contribution hello merge model op receipt recipe seed-int seed tensor'
      .split(' ')
      .map((name) => `tributary/${name}/v1`),
  )
  const prefixes = domains.map((domain) => hex(domainPrefix(domain)))
  for (const a of prefixes) expect(prefixes.filter((b) => b.startsWith(a))).toEqual([a])
})

test('[DIG-2] one value has another digest in each domain', () => {
  expect(new Set(domains.map((domain) => digestOf(domain, { v: 1 }))).size).toBe(domains.length)
})

test('[DIG-3] SHA-256 gives the published values, in one piece or in several', () => {
  const published = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
  expect(sha256Hex(utf8('abc'))).toBe(published)
  expect(sha256Hex(utf8('a'), utf8(''), utf8('bc'))).toBe(published)
  expect(hex(sha256(utf8('ab'), utf8('c')))).toBe(published)
  expect(sha256Hex()).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  expect(domainPrefix('op')).toEqual(concat(utf8('tributary/op/v1'), Uint8Array.of(0)))
})

test('[DIG-1] a value outside the profile has no digest', () => {
  expect(refusalOf(() => digestOf('recipe', { weight: 0.5 })).code).toBe('NOT_CANONICAL')
})
