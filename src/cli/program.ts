/**
 * Runs one command: reads the command line, gives the command its frame, turns whatever happens into text and an exit
 * code. Only the code of the command that was named is loaded.
 */
import { Argument, Command as Parser, CommanderError, Option } from 'commander'
import { TributaryError } from '../core/errors.ts'
import { type Command, type Frame, type Given, resourceFlags, type Toolbox } from './command.ts'
import { COMMANDS, type CommandEntry } from './commands/index.ts'
import { asTributaryError, errorText, EXIT, exitCodeOf } from './errors.ts'
import { type Io, wantsColour, WIDTH } from './io.ts'
import { Talk } from './progress.ts'
import { openClient } from './replica-address.ts'
import { jsonLine } from './text.ts'
import { VERSION } from './version.ts'

const ABOUT = `Merge fine-tuned checkpoints without a coordinator: every replica computes the same model,
byte for byte, and anyone can audit it.`
const EPILOGUE = `
Start here:
  tributary merge recipe.yml --out merged/    run a recipe over checkpoints on this machine
  tributary up                                start a replica
Each command has its own help: tributary help merge`

/** Answers the exit code; never throws for what a user can cause. */
export async function runCli(argv: readonly string[], io: Io, toolbox: Toolbox): Promise<number> {
  const json = argv.includes('--json')
  const talk = new Talk(io, { quiet: json })
  const fail = (error: TributaryError): number => {
    talk.raw(errorText(error, { json, colour: wantsColour(io) }))
    return exitCodeOf(error.code)
  }
  let exitCode: number = EXIT.ok
  try {
    const parser = await makeParser(argv, io, async (command, given) => {
      exitCode = await runCommand(command, given, { io, toolbox, talk, json, fail })
    })
    await parser.parseAsync([...argv], { from: 'user' })
    return exitCode
  } catch (error) {
    if (!(error instanceof CommanderError)) return fail(asTributaryError(error))
    if (error.exitCode === 0) return EXIT.ok // help or version was asked for
    if (error.code === 'commander.help') return EXIT.usage // nothing was: help went to stderr
    return fail(usageError(error.message, argv))
  }
}

interface Surroundings {
  readonly io: Io
  readonly toolbox: Toolbox
  readonly talk: Talk
  readonly json: boolean
  readonly fail: (error: TributaryError) => number
}

async function runCommand(command: Command, given: Given, around: Surroundings): Promise<number> {
  const { io, toolbox, talk, json, fail } = around
  const stop = new AbortController()
  const release = io.onInterrupt(() => {
    if (stop.signal.aborted) {
      talk.clear()
      io.kill(EXIT.interrupted)
      return
    }
    talk.say('stopping; Ctrl-C again ends it at once')
    stop.abort()
  })
  const frame: Frame = {
    io,
    toolbox,
    talk,
    json,
    signal: stop.signal,
    answer: (value, lines) => {
      const text = json ? jsonLine(value) : lines().join('\n')
      talk.clear()
      if (text !== '') io.stdout.write(`${text}\n`)
    },
    local: async (options, use) => {
      const local = await toolbox.openLocal({
        useDigestCache: options.flag('cache'),
        ...resourceFlags(options),
      })
      try {
        return await use(local)
      } finally {
        await local.close()
      }
    },
    replica: async (options) => {
      const client = await openClient(options, io.env, stop.signal)
      if (client.tellsTokenInClear) talk.warn(`the token travels unencrypted to ${client.url}: use https`)
      return client
    },
  }
  try {
    return (await command.run(frame, given)) ?? EXIT.ok
  } catch (error) {
    const known = asTributaryError(error)
    if (!stop.signal.aborted) return fail(known)
    fail(known.code === 'MERGE_CANCELLED' ? known : interrupted(command))
    return EXIT.interrupted
  } finally {
    release()
  }
}

const interrupted = ({ afterStop }: Command): TributaryError =>
  new TributaryError('INTERRUPTED', 'stopped before it was done', {
    hint: afterStop ?? 'run the same command again when you like; nothing is half done',
  })

type Action = (command: Command, given: Given) => Promise<void>

async function makeParser(argv: readonly string[], io: Io, act: Action): Promise<Parser> {
  const width = () => Math.min(io.stdout.columns, WIDTH)
  const parser = new Parser('tributary')
    .description(ABOUT)
    .usage('<command> [options]')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show the help of a command')
    .option('--json', 'print data as one line of JSON, and an error as one on stderr')
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => undefined, // it is told by runCli, in the style of every error
      getOutHelpWidth: width,
      getErrHelpWidth: width,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride()
    .addHelpText('after', EPILOGUE)
  const words = argv.filter((word) => !word.startsWith('-')).slice(0, 2)
  for (const entry of COMMANDS) {
    const sub = parser.command(entry.name).summary(entry.summary).description(entry.summary)
    if (words.includes(entry.name)) declare(sub, entry, await entry.load(), act)
  }
  return parser
}

function declare(sub: Parser, { name, summary }: CommandEntry, command: Command, act: Action): void {
  const { notes, example } = command
  sub
    .description(notes === undefined ? summary : `${summary}\n\n${notes}`)
    .helpOption('-h, --help', 'show help')
    .configureHelp({ subcommandTerm: () => name })
    .addHelpText(
      'after',
      `\nExample:\n${example
        .split('\n')
        .map((line) => `  ${line}`)
        .join('\n')}`,
    )
  for (const { name, about, choices } of command.arguments ?? []) {
    const argument = new Argument(name, about)
    sub.addArgument(choices === undefined ? argument : argument.choices([...choices]))
  }
  for (const { flags, about, required = false, repeated = false, choices } of command.options ?? []) {
    const option = new Option(flags, required ? `${about} (required)` : about)
    if (repeated) option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value])
    sub.addOption(choices === undefined ? option : option.choices([...choices]))
  }
  sub.addOption(new Option('--json', 'print data as one line of JSON, and an error as one on stderr'))
  sub.action(() => {
    const given = givenOf(sub)
    checkRequired(command, given, name)
    return act(command, given)
  })
}

/** After parsing, so that a mistyped option is named before the one it was meant to be is missed. */
function checkRequired({ options = [] }: Command, given: Given, name: string): void {
  for (const { flags, required } of options) {
    const long = /--([a-z-]+)/.exec(flags)?.[1] ?? ''
    if (required === true && (given.text(long) ?? '') === '')
      throw new TributaryError('USAGE', `option ${flags} is missing`, { hint: `see tributary ${name} --help` })
  }
}

function givenOf(sub: Parser): Given {
  const values: Readonly<Record<string, unknown>> = sub.opts()
  return {
    argument: (index) => sub.args[index] ?? '',
    text: (option) => (typeof values[option] === 'string' ? values[option] : undefined),
    list: (option) => (values[option] ?? []) as readonly string[],
    flag: (option) => values[option] === true,
  }
}

/** `error: unknown command 'pus'` and, on a second line, `(Did you mean push?)`. */
function usageError(message: string, argv: readonly string[]): TributaryError {
  const [first = '', second] = message.split('\n')
  const guess = second === undefined ? undefined : /^\((Did you mean .+\?)\)$/.exec(second)?.[1]
  const command = COMMANDS.find(({ name }) => argv.includes(name))?.name
  return new TributaryError('USAGE', first.replace(/^error: /, ''), {
    hint:
      guess === undefined
        ? `see tributary ${command === undefined ? '' : `${command} `}--help`
        : `${guess.charAt(0).toLowerCase()}${guess.slice(1)}`,
  })
}
