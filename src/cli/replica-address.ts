/** Which replica a command talks to, and with what token: options first, then the environment. */
import { readFile } from 'node:fs/promises'
import { TributaryError } from '../core/errors.ts'
import { DEFAULT_URL, ReplicaClient } from './client.ts'
import type { Given } from './command.ts'
import type { Environment } from './io.ts'

const filled = (text: string | undefined): string | undefined => (text === undefined || text === '' ? undefined : text)

export async function openClient(given: Given, env: Environment, signal: AbortSignal): Promise<ReplicaClient> {
  const url = given.text('url') ?? filled(env['TRIBUTARY_URL']) ?? DEFAULT_URL
  return new ReplicaClient({ url, token: await findToken(given.text('tokenFile'), env), signal })
}

async function findToken(file: string | undefined, env: Environment): Promise<string | undefined> {
  if (file !== undefined) return readToken(file)
  const token = filled(env['TRIBUTARY_TOKEN'])
  if (token !== undefined) return checkToken(token, 'TRIBUTARY_TOKEN')
  const fileByEnvironment = filled(env['TRIBUTARY_TOKEN_FILE'])
  return fileByEnvironment === undefined ? undefined : readToken(fileByEnvironment)
}

const readToken = async (file: string): Promise<string> => checkToken((await readFile(file, 'utf8')).trim(), file)

/** Said without the token: it may be a real one with a slip in it. */
function checkToken(token: string, where: string): string {
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new TributaryError('USAGE', `${where} holds no token`, {
      hint: 'it is one word, as `tributary up` printed it when it made it',
    })
  return token
}
