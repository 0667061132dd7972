/**
 * DeleteTopics 0-6: marks topics for deletion and waits up to timeoutMs until they are gone. Up to v5 by name, v6 by name or
 * id. v3 knows TOPIC_DELETION_DISABLED (older clients get INVALID_REQUEST), v5 brings error messages.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponse } from '../../protocol/messages/20-delete-topics.ts'
import { ZERO_UUID } from '../../protocol/schema.ts'
import type { RequestContext, Services } from '../services.ts'

export async function handleDeleteTopics(
  services: Services,
  request: DeleteTopicsRequest,
  context: RequestContext,
): Promise<DeleteTopicsResponse> {
  const { timeoutMs } = request
  const topics =
    context.apiVersion >= 6
      ? request.topics
      : request.topicNames.map((name) => ({ name, topicId: ZERO_UUID }))
  const results = await services.topics.deleteTopics(topics, { timeoutMs })
  const responses = results.map(({ name, topicId, error, message }) => ({
    name,
    topicId,
    errorCode: errorFor(error, context.apiVersion),
    errorMessage: message,
  }))
  return { responses }
}

function errorFor(error: number, apiVersion: number): number {
  return error === ErrorCode.TOPIC_DELETION_DISABLED && apiVersion < 3 ? ErrorCode.INVALID_REQUEST : error
}
