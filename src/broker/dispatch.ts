/** One frame -> its handler -> one reply. What is not a request that this broker serves closes the connection, as in Kafka. */
import { decodeRequest, encodeResponse, readRequestHeader, type RequestHeader } from '../protocol/frame.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { apiVersionsApi } from '../protocol/messages/18-api-versions.ts'
import { MalformedMessageError } from '../protocol/reader.ts'
import type { ClientConnection, Dispatch, Reply } from '../server/client-connection.ts'
import { apiTable, type ApiRow } from './api-table.ts'
import { CloseConnection, type RequestContext, type Services } from './services.ts'

class Context implements RequestContext {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
  readonly clientHost: string
  readonly listenerName: string
  readonly connectionId: number
  private readonly connection: ClientConnection
  /** Nothing in most requests. */
  callbacks: readonly (() => void)[] | null = null

  constructor(header: RequestHeader, connection: ClientConnection) {
    this.apiKey = header.apiKey
    this.apiVersion = header.apiVersion
    this.correlationId = header.correlationId
    this.clientId = header.clientId
    this.clientHost = connection.clientHost
    this.listenerName = connection.listenerName
    this.connectionId = connection.id
    this.connection = connection
  }

  onClose(listener: () => void): () => void {
    return this.connection.onClose(listener)
  }

  whenSent(callbacks: readonly (() => void)[]): void {
    this.callbacks = callbacks
  }
}

export function createDispatch(services: Services): Dispatch {
  const refuse = (connection: ClientConnection, reason: string): null => {
    connection.refuse(reason)
    return null
  }
  return (frame, connection) => {
    try {
      const header = readRequestHeader(frame)
      const row = apiTable.get(header.apiKey)
      if (!row) return refuse(connection, `API key ${header.apiKey} is not served`)
      if (!header.supported) {
        if (header.apiKey === apiVersionsApi.key) return unsupportedApiVersions(services, header)
        return refuse(connection, `${row.api.name} version ${header.apiVersion} is not served`)
      }
      const request = decodeRequest(row.api, header.apiVersion, frame, header.bodyOffset)
      const context = new Context(header, connection)
      const outcome = row.handle(services, request, context)
      if (!(outcome instanceof Promise)) return encode(row, context, outcome)
      return outcome.then(
        (response) => encode(row, context, response),
        (error: unknown) => refusedOrThrow(refuse, connection, error),
      )
    } catch (error) {
      return refusedOrThrow(refuse, connection, error)
    }
  }
}

function refusedOrThrow(
  refuse: (connection: ClientConnection, reason: string) => null,
  connection: ClientConnection,
  error: unknown,
): null {
  if (error instanceof MalformedMessageError) return refuse(connection, `malformed request: ${error.message}`)
  if (error instanceof CloseConnection) return refuse(connection, error.message)
  throw error
}

function encode(row: ApiRow, context: Context, response: unknown): Reply | null {
  if (response === null) return null
  const chunks = encodeResponse(row.api, context.apiVersion, context.correlationId, response as never)
  const { callbacks } = context
  if (!callbacks || callbacks.length === 0) return { chunks }
  return { chunks, sent: () => callbacks.forEach((callback) => callback()) }
}

/** KIP-511: a body of version 0 that names the versions of ApiVersions alone. */
function unsupportedApiVersions(services: Services, header: RequestHeader): Reply {
  const apiKeys = services.advertisedApis.filter(({ apiKey }) => apiKey === apiVersionsApi.key)
  const response = { errorCode: ErrorCode.UNSUPPORTED_VERSION, apiKeys }
  return { chunks: encodeResponse(apiVersionsApi, 0, header.correlationId, response) }
}
