import { BlockList, isIPv4, isIPv6 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkAddressForm, judgeAddress, parseBlock, parseIp } from '../../src/transport/judge-address.ts'
import { refusalOf } from '../support/refusal.ts'

const judge = (url: string, resolved: readonly string[] = [], ...allowed: readonly string[]) =>
  judgeAddress(url, resolved, allowed.map(parseBlock))
const refused = (...given: Parameters<typeof judge>) => refusalOf(() => judge(...given))

describe('the form', () => {
  test.each([
    'file:///etc/passwd',
    'ftp://replica.example/',
    'gopher://replica.example/',
    'data:text/plain,x',
    'javascript:alert(1)',
    'unix:/run/docker.sock',
    'replica.example:8420',
    '//replica.example',
    '',
    'https://',
    'https://user@replica.example',
    'https://user:pw@replica.example',
    'https://:pw@replica.example',
    'https://replica.example/?next=http://10.0.0.1',
    'https://replica.example/#x',
    `https://replica.example/${'a'.repeat(600)}`,
  ])('[ADR-1] %.60j is refused', (url) => {
    expect(refused(url, ['93.184.216.34']).code).toBe('ADDRESS_REFUSED')
  })

  test('[ADR-1] what passes is told without a trailing slash, pinned to what its name stands for', () => {
    expect(judge('https://Replica.Example:8420/team/', ['93.184.216.34', '1.1.1.1'])).toEqual({
      url: 'https://replica.example:8420/team',
      pinned: '93.184.216.34',
    })
    expect(judge('ws://93.184.216.34')).toEqual({ url: 'ws://93.184.216.34', pinned: '93.184.216.34' })
    expect(judge('wss://[2606:4700::1111]:1/')).toEqual({ url: 'wss://[2606:4700::1111]:1', pinned: '2606:4700::1111' })
    expect(checkAddressForm('https://replica.example./').host).toBe('replica.example')
  })
})

const CLOSED = [
  ...['0.0.0.0', '0.1.2.3', '10.0.0.0', '10.255.255.255', '100.64.0.0', '100.127.255.255', '127.0.0.1', '127.255.0.1'],
  ...['169.254.169.254', '169.254.0.1', '172.16.0.0', '172.31.255.255', '192.0.0.1', '192.0.0.192', '192.0.2.1'],
  ...['192.88.99.1', '192.168.0.0', '192.168.255.255', '198.18.0.0', '198.19.255.255', '198.51.100.9', '203.0.113.9'],
  ...['224.0.0.1', '239.255.255.250', '240.0.0.1', '255.255.255.255'],
  ...['::', '::1', '::2', '::7f00:1', '::127.0.0.1', '::ffff:10.0.0.1', '::ffff:8.8.8.8', '::ffff:a00:1'],
  ...[
    '64:ff9b::a00:1',
    '64:ff9b:1::1',
    '100::1',
    'fc00::1',
    'fd00:ec2::254',
    'fdff::1',
    'fe80::1',
    'febf::1',
    'fec0::1',
  ],
  ...['ff02::1', '2001::1', '2001:1ff::1', '2001:db8::1', '2002:a00:1::1', '3fff::1', '4000::1', '5f00::1', '1::1'],
]
const OPEN = [
  ...['1.0.0.1', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.1'],
  ...['169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0', '192.0.1.0', '192.0.3.0', '192.167.255.255'],
  ...['192.169.0.0', '198.17.255.255', '198.20.0.0', '223.255.255.255'],
  ...['2000::1', '2001:200::1', '2001:db7::1', '2001:db9::1', '2003::1', '2606:4700::1111', '3ffe::1'],
]

describe('what a name stands for', () => {
  test.each(CLOSED)('[ADR-2] %s is closed, as a name and as the address itself', (ip) => {
    expect(refused('https://replica.example', [ip]).code).toBe('ADDRESS_REFUSED')
    expect(refused(`https://${ip.includes(':') ? `[${ip}]` : ip}/`).code).toBe('ADDRESS_REFUSED')
  })

  test.each(OPEN)('[ADR-2] %s, beside a closed block, is open', (ip) => {
    expect(judge('https://replica.example', [ip]).pinned).toBe(ip)
  })

  test('[ADR-2] one closed address among open ones refuses the name, and so does none at all', () => {
    expect(refused('https://replica.example', ['1.1.1.1', '10.0.0.1']).message).toContain('10.0.0.1 is private')
    expect(refused('https://replica.example', []).message).toContain('stands for no address')
    expect(refused('https://replica.example', ['1.1.1.1', 'fe80::1%eth0']).code).toBe('ADDRESS_REFUSED')
  })

  test.each([
    ['decimal', 'http://2130706433/'],
    ['hexadecimal', 'http://0x7f000001/'],
    ['octal', 'http://0177.0.0.1/'],
    ['short', 'http://127.1/'],
    ['full-width', 'http://１２７.0.0.1/'],
    ['circled', 'http://①②⑦.⓪.⓪.①/'],
    ['with a dot at its end', 'http://127.0.0.1./'],
    ['in version 6', 'http://[::ffff:127.0.0.1]/'],
    ['in version 6, in full', 'http://[0:0:0:0:0:ffff:7f00:1]/'],
  ])('[ADR-3] an address in disguise is judged as what it is: %s', (_, url) => {
    expect(refused(url, ['1.1.1.1']).code).toBe('ADDRESS_REFUSED')
  })

  test('[ADR-3] what names stand for is believed of plain addresses alone', () => {
    for (const odd of [
      '0177.0.0.1',
      '127.1',
      '1.1.1.1.',
      ' 1.1.1.1',
      '1.1.1.256',
      '01.1.1.1',
      '1::2::3',
      ':::',
      '1:2:3',
    ])
      expect([odd, refused('https://replica.example', [odd]).code]).toEqual([odd, 'ADDRESS_REFUSED'])
  })
})

describe('the list of the operator', () => {
  test('[ADR-4] opens what it names, and nothing beside it', () => {
    expect(judge('https://replica.example', ['10.1.2.3'], '10.1.0.0/16').pinned).toBe('10.1.2.3')
    expect(judge('https://replica.example', ['fd00::7'], '10.0.0.0/8', 'fd00::/8').pinned).toBe('fd00::7')
    expect(judge('http://127.0.0.1', [], '127.0.0.1').pinned).toBe('127.0.0.1')
    expect(refused('https://replica.example', ['10.2.2.3'], '10.1.0.0/16').code).toBe('ADDRESS_REFUSED')
    expect(refused('https://replica.example', ['10.1.2.3', '10.2.0.1'], '10.1.0.0/16').code).toBe('ADDRESS_REFUSED')
    expect(refused('https://replica.example', ['::ffff:10.1.2.3'], '10.1.0.0/16').code).toBe('ADDRESS_REFUSED')
    expect(judge('https://replica.example', ['10.2.2.3'], '0.0.0.0/0').pinned).toBe('10.2.2.3')
  })

  test.each(['', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/8/8', '10.0.0/8', '10.0.0.0/-1', '10.0.0.0/08', 'localhost'])(
    '[ADR-4] %j is no block',
    (text) => {
      expect(refusalOf(() => parseBlock(text)).code).toBe('CONFIG_INVALID')
    },
  )
})

test('[ADR-5] addresses and blocks are read as Node reads them', () => {
  const ip4 = fc.ipV4()
  const ip6 = fc.ipV6()
  const list = new BlockList()
  list.addSubnet('192.168.0.0', 16, 'ipv4')
  list.addSubnet('fe80::', 10, 'ipv6')
  fc.assert(
    fc.property(fc.oneof(ip4, ip6, fc.string({ maxLength: 20 })), (text) => {
      const ip = parseIp(text)
      expect(ip?.bits).toBe(isIPv4(text) ? 32 : isIPv6(text) && !text.includes('%') ? 128 : undefined)
    }),
    { seed: 1, numRuns: 500 },
  )
  const near = fc.tuple(fc.constantFrom('192.168', '192.167', '192.169'), fc.nat(255), fc.nat(255))
  fc.assert(
    fc.property(near, ([front, c, d]) => {
      const ip = `${front}.${c}.${d}`
      const isClosed = ((): boolean => {
        try {
          judge('https://replica.example', [ip])
          return false
        } catch {
          return true
        }
      })()
      expect(isClosed).toBe(list.check(ip, 'ipv4'))
    }),
    { seed: 2, numRuns: 200 },
  )
})
