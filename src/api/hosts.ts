/** By which names a listener may be called. A page of another site that rebinds its name to us is told apart by this. */
import { networkInterfaces } from 'node:os'
import { isLoopback } from '../config.ts'

export interface OwnNames {
  /** What it was told to listen on. */
  readonly host: string
  readonly publicHosts: readonly string[]
  /** The ports it listens on now. */
  readonly ports: () => readonly number[]
}

const AUTHORITY = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?$/
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]']

const bracketed = (address: string): string =>
  address.includes(':') && !address.startsWith('[') ? `[${address}]` : address
const isEverywhere = (host: string): boolean => ['0.0.0.0', '::', '[::]'].includes(host)

function namesOf(host: string): readonly string[] {
  const own = bracketed(host.toLowerCase())
  if (isLoopback(host)) return [...LOOPBACK_NAMES, own]
  if (!isEverywhere(host)) return [own]
  const addresses = Object.values(networkInterfaces()).flatMap((cards) => (cards ?? []).map(({ address }) => address))
  return [...LOOPBACK_NAMES, ...addresses.map((address) => bracketed(address.toLowerCase().replace(/%.*/, '')))]
}

/** Own addresses go with the ports really listened on; a public name without a port also stands alone, behind a proxy. */
export function isOwnHost(header: string | undefined, { host, publicHosts, ports }: OwnNames): boolean {
  const match = AUTHORITY.exec(header?.toLowerCase() ?? '')
  if (match === null) return false
  const [authority, name = '', port] = match
  const listening = ports().includes(Number(port ?? 80))
  return publicHosts.some((one) => one.toLowerCase() === authority || (one.toLowerCase() === name && listening))
    ? true
    : listening && namesOf(host).includes(name)
}

/** Does a page at this origin come from the host that it calls? */
export function isSameOrigin(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host: authority } = new URL(origin)
  const called = `${protocol}//${host}`
  return /^https?:$/.test(protocol) && URL.canParse(called) && new URL(called).host === authority
}
