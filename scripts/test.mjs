/**
 * `npm test`: cheap checks first, and nothing dearer once one of them fails; then each kind of test, all of them, timed.
 * `npm test -- unit faults` runs only these kinds. Leaves reports/summary.json for whoever counts.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const KINDS = ['unit', 'faults', 'simulation', 'e2e']

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const reports = join(root, 'reports')
const asked = process.argv.slice(2)
const unknown = asked.filter((kind) => !KINDS.includes(kind))
if (unknown.length > 0) {
  console.error(`no such kind of test: ${unknown.join(', ')}; there are ${KINDS.join(', ')}`)
  process.exit(2)
}

/** One row for each thing that was run: {name, ok, seconds, passed, failed}. */
const rows = []

/** Runs a command to its end. `quiet` keeps its output until then, so that two at a time stay readable. */
function run(command, args, { quiet = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit' })
    const said = []
    child.stdout?.on('data', (chunk) => said.push(chunk))
    child.stderr?.on('data', (chunk) => said.push(chunk))
    child.on('error', (error) => resolve({ ok: false, said: String(error) }))
    child.on('close', (code) => resolve({ ok: code === 0, said: Buffer.concat(said).toString('utf8') }))
  })
}

async function timed(name, work) {
  const start = performance.now()
  const { ok, said = '', passed = 0, failed = 0 } = await work()
  const row = { name, ok, seconds: (performance.now() - start) / 1000, passed, failed }
  rows.push(row)
  if (said && !ok) console.log(said.trimEnd())
  console.log(sentence(row))
  return ok
}

const npm = (script) => timed(script, () => run('npm', ['run', '--silent', script], { quiet: true }))

const vitest = (kind) =>
  timed(kind, async () => {
    const file = join(reports, `${kind}.json`)
    const { ok } = await run(process.execPath, [
      join(root, 'node_modules', 'vitest', 'vitest.mjs'),
      'run',
      '--passWithNoTests',
      `--project=${kind}`,
      '--reporter=dot',
      '--reporter=json',
      `--outputFile.json=${file}`,
    ])
    return { ok, ...count(file, ok) }
  })

/** A file that could not even be loaded has no failed test; it counts as one. */
function count(file, ok) {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'))
    const unloaded = report.testResults.filter((one) => one.status === 'failed' && one.assertionResults.length === 0)
    const failed = report.numFailedTests + unloaded.length
    return { passed: report.numPassedTests, failed: ok ? failed : Math.max(failed, 1) }
  } catch {
    return { passed: 0, failed: ok ? 0 : 1 } // a kind without files writes no report
  }
}

function sentence({ name, ok, seconds, passed, failed }) {
  const tests = KINDS.includes(name) ? `${passed} passed${failed > 0 ? `, ${failed} failed` : ''}` : ''
  return `${ok ? 'ok  ' : 'FAIL'} ${name.padEnd(16)} ${seconds.toFixed(1).padStart(6)} s  ${tests}`.trimEnd()
}

async function checks() {
  if ((await Promise.all([npm('typecheck'), npm('lint')])).includes(false)) return false
  if ((await Promise.all([npm('layers'), npm('generate:check')])).includes(false)) return false
  return npm('build')
}

rmSync(reports, { recursive: true, force: true })
mkdirSync(reports, { recursive: true })

if (await checks()) for (const kind of asked.length > 0 ? asked : KINDS) await vitest(kind)
else console.log('the tests were not run: mend the checks first')

const summary = {
  ok: rows.every((row) => row.ok),
  passed: rows.reduce((sum, row) => sum + row.passed, 0),
  failed: rows.reduce((sum, row) => sum + (row.ok ? row.failed : Math.max(row.failed, 1)), 0),
  phases: rows,
}
writeFileSync(join(reports, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
console.log(`\n${rows.map(sentence).join('\n')}\n${summary.passed} passed, ${summary.failed} failed`)
process.exitCode = summary.ok ? 0 : 1
