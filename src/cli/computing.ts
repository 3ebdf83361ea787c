/** Which command lines surely merge or hash tensors of this machine. Light: asked before the command line is understood. */
const COMPUTING: readonly string[] = ['merge', 'audit', 'digest']
const HELP: readonly string[] = ['-h', '--help']

export function computes(argv: readonly string[]): boolean {
  const command = argv.find((word) => !word.startsWith('-')) ?? ''
  return COMPUTING.includes(command) && !argv.some((word) => HELP.includes(word))
}
