/** Where every failure of a request ends: named, answered as a problem, and logged as loudly as it deserves. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isTributaryError, TributaryError } from '../core/errors.ts'
import { PROBLEM_TYPE, problemOf, STATUS } from './problems.ts'
import type { RouteTable } from './route-table.ts'

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** What Fastify itself refuses, under our names. What it does not know is a bug of ours and stays one. */
function named(error: unknown): unknown {
  if (isTributaryError(error) || !isObject(error)) return error
  const { code, statusCode, message } = error as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new TributaryError('REQUEST_TOO_LARGE', 'a JSON body may take 1 MiB', { hint: 'send less in one request' })
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new TributaryError('MEDIA_TYPE_UNSUPPORTED', 'the Content-Type header is no media type', {
      hint: 'send application/json',
    })
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new TributaryError('REQUEST_INVALID', message ?? 'the request is malformed', {
      hint: 'compare it with /openapi.json',
    })
  return error
}

const pathOf = (request: FastifyRequest): string => request.url.split('?', 1)[0] ?? ''

export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const cause = named(error)
  const problem = problemOf(cause, pathOf(request), request.id)
  if (problem.status === 500) request.log.error({ err: cause }, 'a request failed')
  if (problem.code === 'UNAUTHORIZED') reply.header('www-authenticate', 'Bearer realm="tributary"')
  if (problem.code === 'UPGRADE_REQUIRED') reply.header('upgrade', 'websocket')
  if (problem.code === 'SERVER_STOPPING' || problem.code === 'TOO_MANY_REQUESTS') reply.header('retry-after', '5')
  if (problem.code === 'TIMED_OUT' || problem.code === 'SERVER_STOPPING') reply.header('connection', 'close')
  const offset = problem.details['offset']
  if (problem.code === 'UPLOAD_OFFSET_MISMATCH' && typeof offset === 'number') reply.header('upload-offset', offset)
  return reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem))
}

export function answerProblems(app: FastifyInstance, routes: RouteTable): void {
  app.setErrorHandler(sendProblem)
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request)
    const methods = routes.methodsOf(path)
    if (methods.length === 0 || methods.includes(request.method)) throw routes.unknown(path)
    reply.header('allow', methods.join(', '))
    throw new TributaryError('METHOD_NOT_ALLOWED', `${path} takes ${methods.join(', ')}, not ${request.method}`, {
      hint: `use ${methods.join(' or ')}`,
    })
  })
}

/** For what Node refuses before there is a request: a whole small answer, written by hand. */
export function malformedAnswer(code: string | undefined): string {
  const [error, reason] =
    code === 'HPE_HEADER_OVERFLOW'
      ? [new TributaryError('REQUEST_TOO_LARGE', 'the headers are larger than 16 KiB'), 'Content Too Large']
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [new TributaryError('TIMED_OUT', 'the headers took too long to arrive'), 'Request Timeout']
        : [new TributaryError('REQUEST_INVALID', 'this is not HTTP/1.1 as RFC 9112 has it'), 'Bad Request']
  const body = JSON.stringify(problemOf(error, '', ''))
  return [
    `HTTP/1.1 ${STATUS[error.code]} ${reason}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body,
  ].join('\r\n')
}
