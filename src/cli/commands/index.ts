/** Every command there is, in the order of help. A command's own code is loaded when it is named. */
import type { Command } from '../command.ts'

export interface CommandEntry {
  readonly name: string
  readonly summary: string
  load(): Promise<Command>
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'up',
    summary: 'Start a replica, and stay until it is stopped.',
    load: async () => (await import('./up.ts')).up,
  },
  {
    name: 'merge',
    summary: 'Run a recipe over checkpoints on this machine; no server is needed.',
    load: async () => (await import('./merge.ts')).merge,
  },
  {
    name: 'plan',
    summary: 'Say what a recipe would do, from the headers of its inputs alone.',
    load: async () => (await import('./plan.ts')).plan,
  },
  {
    name: 'push',
    summary: 'Upload a checkpoint to a replica and contribute it to a space.',
    load: async () => (await import('./push.ts')).push,
  },
  {
    name: 'pull',
    summary: 'Fetch a model, a contribution or the output of a merge from a replica.',
    load: async () => (await import('./pull.ts')).pull,
  },
  {
    name: 'spaces',
    summary: 'Create a space on a replica.',
    load: async () => (await import('./spaces.ts')).spaces,
  },
  {
    name: 'ls',
    summary: 'List the spaces of a replica, or what is in one.',
    load: async () => (await import('./ls.ts')).ls,
  },
  {
    name: 'status',
    summary: 'Tell whether a replica is ready, and the roots of its spaces.',
    load: async () => (await import('./status.ts')).status,
  },
  {
    name: 'retract',
    summary: 'Take a contribution out of a space.',
    load: async () => (await import('./retract.ts')).retract,
  },
  {
    name: 'revoke',
    summary: 'Withdraw content from a space for ever.',
    load: async () => (await import('./revoke.ts')).revoke,
  },
  {
    name: 'members',
    summary: 'List, add and remove who may write in a space.',
    load: async () => (await import('./members.ts')).members,
  },
  {
    name: 'audit',
    summary: 'Replay a merge from its receipt and compare every tensor.',
    load: async () => (await import('./audit.ts')).audit,
  },
  {
    name: 'strategies',
    summary: 'List the merge strategies, or describe one.',
    load: async () => (await import('./strategies.ts')).strategies,
  },
  {
    name: 'inspect',
    summary: 'Show the tensors of a safetensors file or a checkpoint, from headers alone.',
    load: async () => (await import('./inspect.ts')).inspect,
  },
  {
    name: 'digest',
    summary: 'Print the content root of a safetensors file or a checkpoint.',
    load: async () => (await import('./digest.ts')).digest,
  },
]
