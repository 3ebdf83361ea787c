/** The built program as a process: what a user runs. Needs `npm run build`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'

const root = new URL('../..', import.meta.url).pathname
export const PROGRAM = join(root, 'dist/src/main.cjs')

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Environment without what would change an outcome: tokens, addresses, caches of the user who runs the tests. */
export function cleanEnvironment(cacheDirectory: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('TRIBUTARY_'))
  return { ...Object.fromEntries(kept), TRIBUTARY_CACHE: cacheDirectory, NO_COLOR: '1' }
}

export function runProduct(cwd: string, ...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, ...args], { cwd, env: cleanEnvironment(join(cwd, '.cache')) })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

export interface ProductReplica {
  readonly url: string
  readonly process: ChildProcess
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

/** `tributary up` on a free port of loopback. */
export function upProduct(dataDirectory: string, ...more: readonly string[]): Promise<ProductReplica> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, 'up', '--data', dataDirectory, '--port', '0', ...more], {
      env: cleanEnvironment(join(dataDirectory, '..', '.cache')),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    const ended = new Promise<number | null>((done) => child.on('close', done))
    const look = (chunk: Buffer) => {
      said += chunk.toString()
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0]
      if (url === undefined) return
      resolve({
        url,
        process: child,
        end(signal) {
          child.kill(signal)
          return ended
        },
      })
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    child.on('error', reject)
    void ended.then((code) => reject(new Error(`the replica ended with ${String(code)}: ${said}`)))
  })
}
