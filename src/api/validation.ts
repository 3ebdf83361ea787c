/**
 * Checks each part of a request against its schema, and names the first field that is wrong. Bodies are taken as they
 * were sent; in a query or a path, where all is text, digits become an integer and a single value a list of one.
 */
import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { suggest } from '../core/closest.ts'
import { TributaryError } from '../core/errors.ts'

type Fault = ReturnType<ReturnType<typeof Compile>['Errors']>[number]
type Node = Readonly<Record<string, unknown>>

const PART: Readonly<Record<string, string>> = {
  body: 'the body',
  querystring: 'the query',
  params: 'the path',
  headers: 'the headers',
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null
const unescape = (token: string) => token.replaceAll('~1', '/').replaceAll('~0', '~')
const escape = (token: string) => token.replaceAll('~', '~0').replaceAll('/', '~1')

/** The schema that a fault's path (`#/properties/files/items`) leads to. */
function schemaAt(schema: TSchema, path: string): Node {
  let at: unknown = schema
  for (const token of path.split('/').slice(1)) at = isNode(at) ? at[unescape(token)] : undefined
  return isNode(at) ? at : {}
}

const propertiesOf = (schema: Node): readonly string[] =>
  isNode(schema['properties']) ? Object.keys(schema['properties']) : []
const typesOf = (schema: Node): readonly string[] =>
  Array.isArray(schema['anyOf']) ? schema['anyOf'].map((one: Node) => String(one['type'])) : []

function describe(fault: Fault, schema: TSchema): { pointer: string; message: string; hint: string } {
  const at = fault.instancePath
  const here = schemaAt(schema, fault.schemaPath)
  if (fault.keyword === 'additionalProperties') {
    const name = fault.params.additionalProperties[0] ?? ''
    const hint = suggest(name, propertiesOf(here))
    return { pointer: `${at}/${escape(name)}`, message: `${JSON.stringify(name.slice(0, 80))} is unknown`, hint }
  }
  if (fault.keyword === 'required') {
    const name = fault.params.requiredProperties[0] ?? ''
    return { pointer: `${at}/${escape(name)}`, message: `${name} is missing`, hint: `give ${name}` }
  }
  const field = at === '' ? 'it' : at.slice(1)
  const types = typesOf(here)
  const message = types.length > 0 ? `must be ${types.join(' or ')}` : fault.message
  return { pointer: at, message: `${field} ${message}`, hint: 'compare the request with /openapi.json' }
}

/** A choice says more than each thing that was not chosen; a forbidden field more than the false it met. */
function tellingFault(faults: readonly Fault[]): Fault {
  const first = faults.find(({ keyword }) => keyword !== 'boolean') ?? faults[0]!
  return faults.find(({ keyword, instancePath }) => keyword === 'anyOf' && instancePath === first.instancePath) ?? first
}

const INTEGER = /^(0|[1-9][0-9]{0,15})$/

function fromText(schema: TSchema, value: unknown): unknown {
  const properties = (schema as Node)['properties']
  if (!isNode(value) || !isNode(properties)) return value
  const read = ([name, text]: [string, unknown]): [string, unknown] => {
    const type = Object.hasOwn(properties, name) ? (properties[name] as Node)['type'] : undefined
    if (type === 'integer' && typeof text === 'string' && INTEGER.test(text)) return [name, Number(text)]
    if (type === 'array' && typeof text === 'string') return [name, [text]]
    return [name, text]
  }
  return Object.fromEntries(Object.entries(value).map(read))
}

export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart = 'body' }) => {
  if ((schema as Node)['format'] === 'binary') return (value: unknown) => ({ value })
  const checked = Compile(schema)
  return (sent: unknown) => {
    const value = httpPart === 'body' ? sent : fromText(schema, sent)
    if (checked.Check(value)) return { value }
    const { pointer, message, hint } = describe(tellingFault(checked.Errors(value)), schema)
    const where = PART[httpPart] ?? httpPart
    return { error: new TributaryError('REQUEST_INVALID', `in ${where}: ${message}`, { pointer, hint }) }
  }
}
