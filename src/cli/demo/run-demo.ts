/** `tributary up --demo`: starts the three, tells the story, then does what is typed until Ctrl-C. */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULTS, makeConfig } from '../../config.ts'
import { TributaryError } from '../../core/errors.ts'
import { type CuttableReplica, type Frame, type Given, resourceFlags, stopped } from '../command.ts'
import { asTributaryError } from '../errors.ts'
import { Demo, type Tell } from './demo.ts'

const REPLICAS = 3
/** What makes no sense with three replicas that only this machine reaches. */
const NOT_WITH_DEMO = ['host', 'tokenFile', 'publicHost', 'peer', 'advertise', 'openBlock'] as const

export async function runDemo(frame: Frame, given: Given): Promise<undefined> {
  const { io, toolbox, talk, signal, answer } = frame
  const wrong = NOT_WITH_DEMO.find((option) => given.text(option) !== undefined || given.list(option).length > 0)
  if (wrong !== undefined)
    throw new TributaryError('USAGE', '--demo listens on loopback alone, and its three replicas name each other', {
      hint: 'give it --data and --port at most; tributary up starts a replica of your own',
    })
  const directory = given.text('data') ?? (await mkdtemp(join(tmpdir(), 'tributary-demo-')))
  const tell: Tell = (event, line) => answer(event, () => [line])
  const replicas: CuttableReplica[] = []
  try {
    const port = Number(given.text('port') ?? DEFAULTS.port)
    for (let i = 0; i < REPLICAS; i++) {
      const config = makeConfig(
        {
          workers: '1',
          ...resourceFlags(given),
          data: join(directory, `replica-${i + 1}`),
          port: port === 0 ? 0 : port + i,
          logLevel: given.text('logLevel') ?? 'error',
        },
        {},
      )
      const replica = await toolbox.startCuttable(config)
      replicas.push(replica)
      const { url } = replica
      tell({ event: 'started', replica: i + 1, url, data: config.dataDirectory }, `replica ${i + 1}  ${url}`)
    }
    const demo = new Demo({ replicas, tell, signal, now: () => io.now() })
    await demo.begin()
    for (const line of HELP) talk.say(line)
    talk.say(`elsewhere:  tributary status --watch --url ${replicas.at(-1)!.url}`)
    await obey(demo, frame)
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    for (const replica of replicas) await replica.stop()
  }
  tell({ event: 'stopped', data: directory }, `stopped; the data of all three are in ${directory}`)
  return undefined
}

const HELP = [
  'c + Enter   the next replica contributes another model',
  'p + Enter   replica 3 is cut off, and with the next p healed',
  'm + Enter   replicas 1 and 2 merge, each for itself',
  'Ctrl-C      stops all three',
]

/** What is typed is done one after the other, until Ctrl-C. */
async function obey(demo: Demo, { io, signal, talk }: Frame): Promise<void> {
  const deeds: Readonly<Record<string, () => Promise<void>>> = {
    c: () => demo.contribute(),
    m: () => demo.merge(),
    p: () => demo.toggleCut(),
  }
  let doing = Promise.resolve()
  const release = io.onLine((line) => {
    const deed = deeds[line.trim().toLowerCase()]
    if (deed === undefined) return
    doing = doing.then(deed).catch((error: unknown) => {
      if (!signal.aborted) talk.warn(asTributaryError(error).message)
    })
  })
  try {
    await stopped(signal)
    await doing
  } finally {
    release()
  }
}
