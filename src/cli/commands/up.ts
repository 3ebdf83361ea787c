/** Starts a replica in this process and stays until a signal ends it. */
import { makeConfig } from '../../config.ts'
import { TributaryError } from '../../core/errors.ts'
import { type Command, RESOURCE_OPTIONS, resourceFlags, stopped } from '../command.ts'
import { runDemo } from '../demo/run-demo.ts'
import { logLine } from '../log-lines.ts'
import { facts } from '../text.ts'

export const up: Command = {
  options: [
    { flags: '--data <DIR>', about: 'where everything is kept (default: ./tributary-data)' },
    { flags: '--port <N>', about: 'port to listen on; 0 takes a free one (default: 8420)' },
    {
      flags: '--host <HOST>',
      about: 'address to listen on; beyond loopback a token is asked for (default: 127.0.0.1)',
    },
    { flags: '--token-file <FILE>', about: 'file that holds the token (default: TRIBUTARY_TOKEN, else one is made)' },
    { flags: '--public-host <NAME>', about: 'another name that clients may call it by', repeated: true },
    { flags: '--peer <URL>', about: 'another replica to link to, now and after every start', repeated: true },
    {
      flags: '--advertise <URL>',
      about: 'where other replicas may link to this one; none tells nobody (default: https:// and each public name)',
      repeated: true,
    },
    {
      flags: '--open-block <CIDR>',
      about: 'dial addresses that other replicas tell in this block too, though it is not public',
      repeated: true,
    },
    {
      flags: '--fetch-quota <SIZE>',
      about: 'bytes of models of other replicas to keep for one space (default: 512GiB)',
    },
    { flags: '--demo', about: 'start three replicas that know each other, with sample models, and show them agree' },
    ...RESOURCE_OPTIONS,
    { flags: '--log <FORM>', about: 'lines or json (default: lines on a terminal, else json)' },
    { flags: '--log-level <LEVEL>', about: 'silent, error, warn, info or debug (default: info)' },
  ],
  notes: 'What a client needs goes to stdout once it listens: with --json as one line. The log goes to stderr.',
  example: 'tributary up --data ./tributary-data --port 8420',

  async run(frame, given) {
    if (given.flag('demo')) return runDemo(frame, given)
    const { io, toolbox, talk, signal, json, answer } = frame
    const list = (name: string) => {
      const values = given.list(name)
      return values.length === 0 ? {} : { [name]: values }
    }
    const flag = (name: string, option: string) => {
      const value = given.text(option)
      return value === undefined ? {} : { [name]: value }
    }
    const config = makeConfig(
      {
        ...resourceFlags(given),
        ...flag('data', 'data'),
        ...flag('port', 'port'),
        ...flag('host', 'host'),
        ...flag('tokenFile', 'tokenFile'),
        ...flag('fetchQuota', 'fetchQuota'),
        ...flag('logLevel', 'logLevel'),
        ...list('publicHost'),
        ...list('peer'),
        ...list('advertise'),
        ...list('openBlock'),
      },
      io.env,
    )
    const format = given.text('log') ?? (io.stderr.isTTY && !json ? 'lines' : 'json')
    if (format !== 'lines' && format !== 'json')
      throw new TributaryError('USAGE', `--log ${format} is no form of a log`, {
        hint: 'use --log lines or --log json',
      })
    const lines = { write: (line: string) => io.stderr.write(`${logLine(line)}\n`) }
    const replica = await toolbox.startReplica(config, format === 'lines' ? lines : undefined)
    const { url, key, token } = replica
    answer({ url, key, data: config.dataDirectory, docs: `${url}/docs`, ...(token !== undefined && { token }) }, () =>
      facts([
        ['replica', url],
        ['docs', `${url}/docs`],
        ['data', config.dataDirectory],
        ['key', key],
        ['token', token],
      ]),
    )
    if (token !== undefined) talk.say('the token is shown this once: keep it, and give it as TRIBUTARY_TOKEN')
    if (!json) talk.say('stop it with Ctrl-C')
    await stopped(signal)
    await replica.stop()
    talk.say('stopped')
    return undefined
  },
}
