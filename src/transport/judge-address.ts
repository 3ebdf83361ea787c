/**
 * Which addresses that others told us may be dialed. Pure: the name has been looked up by whoever asks, and what is
 * answered is the very address to dial. What the operator typed is not judged here: it is trusted.
 */
import { TributaryError } from '../core/errors.ts'
import type { Address } from './transport.ts'

/** An IP address as a number, and how many bits it has. */
interface Ip {
  readonly bits: 32 | 128
  readonly value: bigint
}

export interface Block extends Ip {
  readonly prefix: number
}

const PROTOCOLS = new Set(['http:', 'https:', 'ws:', 'wss:'])
const URL_CHARACTERS_MAX = 512

/** Special-purpose blocks (RFC 6890 and what came after): no replica of someone else is there, and secrets may be. */
const CLOSED: readonly (readonly [block: string, what: string])[] = [
  ['0.0.0.0/8', 'this network'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared by a carrier'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local, where clouds keep their metadata'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved for protocols'],
  ['192.0.2.0/24', 'for documentation'],
  ['192.88.99.0/24', 'a relay of 6to4'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'for benchmarks'],
  ['198.51.100.0/24', 'for documentation'],
  ['203.0.113.0/24', 'for documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
]

/** Of version 6 only what is given out to the world, without the blocks in it that carry or stand for something else. */
const GLOBAL_6 = '2000::/3'
const CLOSED_6: readonly (readonly [block: string, what: string])[] = [
  ['::1/128', 'loopback'],
  ['::/128', 'unspecified'],
  ['::ffff:0:0/96', 'an address of version 4 in disguise'],
  ['64:ff9b::/96', 'an address of version 4 in disguise'],
  ['fc00::/7', 'private'],
  ['fe80::/10', 'link-local'],
  ['ff00::/8', 'multicast'],
  ['2001::/23', 'reserved for protocols'],
  ['2001:db8::/32', 'for documentation'],
  ['2002::/16', 'an address of version 4 in disguise'],
  ['3fff::/20', 'for documentation'],
]

const PART_4 = /^(0|[1-9][0-9]{0,2})$/

function parseIp4(text: string): bigint | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => PART_4.test(part) && Number(part) < 256)) return undefined
  return parts.reduce((value, part) => value * 256n + BigInt(part), 0n)
}

function parseIp6(text: string): bigint | undefined {
  const dotted = /^(.*:)([0-9.]+)$/.exec(text)
  if (dotted?.[2]?.includes('.') === true) {
    const tail = parseIp4(dotted[2])
    if (tail === undefined) return undefined
    return parseIp6(`${dotted[1] ?? ''}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`)
  }
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')))
  if (!groups.flat().every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined
  const [front = [], back] = groups
  const missing = 8 - front.length - (back?.length ?? 0)
  if (back === undefined ? missing !== 0 : missing < 1) return undefined
  const all = [...front, ...Array.from({ length: back === undefined ? 0 : missing }, () => '0'), ...(back ?? [])]
  return all.reduce((value, group) => value * 65_536n + BigInt(`0x${group}`), 0n)
}

/** Plain addresses alone: no zone, no octal, nothing left out that the standard does not leave out. */
export function parseIp(text: string): Ip | undefined {
  const four = parseIp4(text)
  if (four !== undefined) return { bits: 32, value: four }
  const six = parseIp6(text)
  return six === undefined ? undefined : { bits: 128, value: six }
}

/** `10.0.0.0/8` or `fd00::/8`; an address alone is a block of one. */
export function parseBlock(text: string): Block {
  const [address = '', length, ...rest] = text.split('/')
  const ip = parseIp(address)
  const prefix = length === undefined ? ip?.bits : PART_4.test(length) ? Number(length) : undefined
  if (ip === undefined || prefix === undefined || prefix > ip.bits || rest.length > 0)
    throw new TributaryError('CONFIG_INVALID', `${JSON.stringify(text.slice(0, 60))} is no block of addresses`, {
      hint: 'write it like 10.1.0.0/16 or fd00::/8',
    })
  return { ...ip, prefix }
}

const isIn = (ip: Ip, { bits, value, prefix }: Block): boolean => {
  const rest = BigInt(bits - prefix)
  return ip.bits === bits && ip.value >> rest === value >> rest
}

const blocks = [...CLOSED, ...CLOSED_6].map(([block, what]) => [parseBlock(block), what] as const)
const global6 = parseBlock(GLOBAL_6)

/** Why this address may not be dialed, or undefined. */
function closedFor(ip: Ip): string | undefined {
  const closed = blocks.find(([block]) => isIn(ip, block))?.[1]
  if (closed !== undefined) return closed
  return ip.bits === 128 && !isIn(ip, global6) ? 'not given out to the world' : undefined
}

const refused = (what: string, hint?: string) =>
  new TributaryError('ADDRESS_REFUSED', what, {
    hint: hint ?? 'the operator can name the peer with --peer, or allow its block',
  })

/** The form alone: what can be said before a name is looked up. Answers the host, without brackets. */
export function checkAddressForm(text: string): { readonly url: URL; readonly host: string } {
  if (text.length > URL_CHARACTERS_MAX || !URL.canParse(text)) throw refused('this is no address')
  const url = new URL(text)
  if (!PROTOCOLS.has(url.protocol)) throw refused(`${url.protocol} is no way to talk to a replica`)
  if (url.username !== '' || url.password !== '') throw refused('the address holds a user name or password')
  if (url.search !== '' || url.hash !== '') throw refused('the address holds more than a place')
  return { url, host: url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '') }
}

/** May it be dialed, as far as that can be said before its name is looked up? */
export function mayBeDialed(text: string, allowed: readonly Block[] = []): boolean {
  const ip = parseIp(checkAddressForm(text).host)
  return ip === undefined || allowed.some((block) => isIn(ip, block)) || closedFor(ip) === undefined
}

/**
 * The address to dial: pinned to the first of those that the name stands for. Refused when any of them is closed, for who
 * answers one name by a public and a private address is trying something.
 */
export function judgeAddress(
  text: string,
  resolved: readonly string[],
  allowed: readonly Block[] = [],
): Address & { readonly pinned: string } {
  const { url, host } = checkAddressForm(text)
  const literal = parseIp(host)
  const candidates = literal === undefined ? resolved : [host]
  const [first] = candidates
  if (first === undefined) throw refused(`the name ${JSON.stringify(host.slice(0, 100))} stands for no address`)
  for (const candidate of candidates) {
    const ip = parseIp(candidate)
    if (ip === undefined) throw refused(`${JSON.stringify(candidate.slice(0, 60))} is no address`)
    const why = allowed.some((block) => isIn(ip, block)) ? undefined : closedFor(ip)
    if (why !== undefined) throw refused(`the address ${candidate} is ${why}`)
  }
  return { url: `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`, pinned: first }
}
