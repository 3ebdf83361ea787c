/** The layer rule of ARCHITECTURE.md, executable. Imports run downward only; pure code reaches no effect. */
const layer = (name, from, ...mayUse) => ({
  name,
  severity: 'error',
  from: { path: from },
  to: { path: '^(src|merge-strategies)/', pathNot: [from, ...mayUse] },
})
const pure = (name, from, allowed = '^$') => ({
  name,
  severity: 'error',
  comment: 'pure code neither reads, writes, waits nor listens',
  from: { path: from },
  to: { dependencyTypes: ['core'], pathNot: allowed },
})

/** A package that may be imported from one place only, so that it can be replaced there. */
const oneDoor = (packages, door) => ({
  name: `one-door-for-${packages
    .replace(/[^a-z0-9]+/g, ' ')
    .trim()
    .replaceAll(' ', '-')}`,
  severity: 'error',
  from: { path: '^(src|merge-strategies)/', pathNot: door },
  to: { path: `^node_modules/(@types/)?${packages}/` },
})

const CORE = '^src/core/'
const CONTENT = '^src/(tensors|kernels|recipes)/'
const STRATEGIES = '^merge-strategies/'
const PORTS = '^src/(storage|transport)/[^/]+[.]ts$'
const MERGING = '^src/(merging|replication)/'
const AUDIT = '^src/audit/'
const OPERATIONS = '^src/operations/'

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    pure('core-is-pure', CORE, '^(node:)?crypto$'), // hashing and signatures are functions
    pure('content-is-pure', CONTENT, '^(node:)?crypto$'),
    pure('strategies-are-pure', STRATEGIES),
    layer('core-stands-alone', CORE),
    layer('tensors-see-core', '^src/tensors/', CORE),
    layer('kernels-see-core', '^src/kernels/', CORE, '^src/tensors/dtypes[.]ts$'),
    layer('recipes-see-core', '^src/recipes/', CORE, '^src/tensors/'),
    layer('strategies-see-only-the-contract', '^merge-strategies/.+/', '^src/core/strategy[.]ts$'),
    layer('the-index-sees-strategies', '^merge-strategies/index[.]ts$', STRATEGIES, '^src/core/strategy[.]ts$'),
    layer('storage-sees-core', '^src/storage/', CORE, '^src/tensors/'),
    layer('transport-sees-core', '^src/transport/', CORE),
    layer('merging-and-replication-see-ports', MERGING, CORE, CONTENT, STRATEGIES, PORTS),
    layer('audit-sees-merging', AUDIT, CORE, CONTENT, STRATEGIES, PORTS, MERGING),
    layer('operations-see-what-is-below', OPERATIONS, CORE, CONTENT, STRATEGIES, PORTS, MERGING, AUDIT),
    layer(
      'skins-see-operations',
      '^src/(api|cli|dashboard)/',
      '^src/(api|cli|dashboard)/',
      CORE,
      OPERATIONS,
      '^src/config[.]ts$',
    ),
    {
      name: 'skins-do-not-see-each-other',
      severity: 'error',
      from: { path: '^src/(api|cli|dashboard)/' },
      to: { path: '^src/(api|cli|dashboard)/', pathNot: '^src/$1/' },
    },
    oneDoor('yjs', '^src/replication/yjs-codec[.]ts$'),
    oneDoor('better-sqlite3', '^src/storage/sqlite/'),
    oneDoor('(@?fastify|prom-client)', '^src/api/'),
    oneDoor('ws', '^src/transport/websocket/'),
    oneDoor('commander', '^src/cli/'),
    oneDoor('yaml', '^src/(recipes|cli)/'),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
  },
}
