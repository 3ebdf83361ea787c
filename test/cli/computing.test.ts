import { expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands/index.ts'
import { computes } from '../../src/cli/computing.ts'

test('[MRG-90] a thread starts ahead for command lines that merge or hash, and for none that asks for help', () => {
  expect(COMMANDS.map(({ name }) => name).filter((name) => computes([name]))).toEqual(['merge', 'audit', 'digest'])
  expect(computes(['--json', 'merge', 'plan'])).toBe(true)
  for (const argv of [[], ['--version'], ['help', 'merge'], ['merge', '--help'], ['merge', 'r.yml', '-h']])
    expect(computes(argv), argv.join(' ')).toBe(false)
})
