/** What mergekit's methods and parameters are called here, and which of them are offered. */

export interface Method {
  readonly strategy: string
  /** task: deltas are taken from base_model. first: base_model is where an interpolation starts. none: it has no part. */
  readonly base: 'task' | 'first' | 'none'
  /** Parameters of the whole merge, and of each model, that the method reads. */
  readonly whole: readonly string[]
  readonly each: readonly string[]
  /** Those mergekit has no default for. */
  readonly required: readonly string[]
}

const TASK_WHOLE = ['normalize', 'lambda']

export const METHODS: Readonly<Record<string, Method>> = {
  linear: { strategy: 'linear', base: 'none', whole: ['normalize'], each: ['weight'], required: ['weight'] },
  slerp: { strategy: 'slerp', base: 'first', whole: ['t'], each: [], required: ['t'] },
  task_arithmetic: {
    strategy: 'task_arithmetic',
    base: 'task',
    whole: TASK_WHOLE,
    each: ['weight'],
    required: ['weight'],
  },
  ties: {
    strategy: 'ties',
    base: 'task',
    whole: [...TASK_WHOLE, 'rescale'],
    each: ['weight', 'density'],
    required: ['weight'],
  },
  dare_linear: {
    strategy: 'dare_linear',
    base: 'task',
    whole: [...TASK_WHOLE, 'rescale'],
    each: ['weight', 'density'],
    required: ['weight'],
  },
  dare_ties: {
    strategy: 'dare_ties',
    base: 'task',
    whole: [...TASK_WHOLE, 'rescale'],
    each: ['weight', 'density'],
    required: ['weight'],
  },
}

/** Methods that mergekit has and Tributary does not offer yet. */
export const METHODS_NOT_OFFERED: readonly string[] = [
  'arcee_fusion',
  'breadcrumbs',
  'breadcrumbs_ties',
  'della',
  'della_linear',
  'karcher',
  'model_stock',
  'multislerp',
  'nearswap',
  'nuslerp',
  'passthrough',
  'ram',
  'ramplus_tl',
  'sce',
]

/** Every parameter some method of mergekit reads; one that this method does not read is dropped with a note. */
export const PARAMETERS: readonly string[] = [
  'alpha',
  'density',
  'eps',
  'epsilon',
  'filter_wise',
  'gamma',
  'int8_mask',
  'lambda',
  'max_iter',
  'normalize',
  'normalize_weights',
  'nuslerp_flatten',
  'nuslerp_row_wise',
  'r',
  'rescale',
  'scale',
  'select_topk',
  't',
  'tol',
  'weight',
]

export const BOOLEANS: readonly string[] = ['normalize', 'rescale']
