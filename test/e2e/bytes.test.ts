/** Large models between built replicas: killed receivers, links without HTTP, and a liar, as `scripts/fetch-soak.mjs` does it. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const script = join(import.meta.dirname, '../../scripts/fetch-soak.mjs')
const MIB = 256

test(
  '[XCH-33] 256 MiB survive three kills by HTTP and by the link alone, with at most 64 MiB sent twice, and a liar among three is named',
  { timeout: 180_000 },
  async () => {
    const ran = promisify(execFile)(process.execPath, [script, String(MIB), '--json'])
    const { stdout } = await ran.catch((error: unknown) => error as { readonly stdout: string })
    const figures = JSON.parse(stdout) as Record<string, unknown>
    expect(figures).toMatchObject({ mib: MIB, wrong: [], liar_named: true })
    expect(Math.max(Number(figures['http_twice_mib']), Number(figures['link_twice_mib']))).toBeLessThanOrEqual(64)
  },
)
