/** Compiles to dist/ (`npm run typecheck` checks the types, once for all) and puts beside the code what it reads at run time: migrations and static files. */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, extname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const at = (...parts) => join(root, ...parts)
const ASSEMBLY = at('src', 'kernels', 'assembly')

rmSync(at('dist'), { recursive: true, force: true })
execFileSync(process.execPath, [at('node_modules', 'typescript', 'bin', 'tsc'), '-p', at('tsconfig.build.json')], {
  cwd: root,
  stdio: 'inherit',
})

const isFolder = (path) => extname(path) === ''
cpSync(at('src'), at('dist', 'src'), {
  recursive: true,
  filter: (path) => !path.startsWith(ASSEMBLY) && (isFolder(path) || extname(path) !== '.ts'),
})
if (existsSync(at('migrations'))) cpSync(at('migrations'), at('dist', 'migrations'), { recursive: true })

const program = at('dist', 'src', 'main.js')
if (existsSync(program)) {
  const text = readFileSync(program, 'utf8')
  if (!text.startsWith('#!')) writeFileSync(program, `#!/usr/bin/env node\n${text}`)
  chmodSync(program, 0o755)
  linkProgram()
}

/** `npx tributary` in the checkout runs this build, without asking a registry. */
function linkProgram() {
  const folder = at('node_modules', '.bin')
  mkdirSync(folder, { recursive: true })
  const link = join(folder, 'tributary')
  rmSync(link, { force: true })
  if (process.platform !== 'win32') symlinkSync(relative(folder, program), link)
}
