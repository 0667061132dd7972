/**
 * CreatePartitions 0-3: gives topics more partitions and waits up to timeoutMs until those have leaders. v2 is flexible;
 * the versions are otherwise the same. Not here: controller mutation quotas (v3).
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from '../../protocol/messages/37-create-partitions.ts'
import type { Services } from '../services.ts'

export async function handleCreatePartitions(
  services: Services,
  request: CreatePartitionsRequest,
): Promise<CreatePartitionsResponse> {
  const { timeoutMs, validateOnly } = request
  const counts = new Map<string, number>()
  for (const { name } of request.topics) counts.set(name, (counts.get(name) ?? 0) + 1)
  const wanted = request.topics.filter(({ name }) => counts.get(name) === 1)
  const made = await services.topics.createPartitions(
    wanted.map(({ name, count, assignments }) => {
      return { name, count, assignments: assignments?.map(({ brokerIds }) => brokerIds) ?? null }
    }),
    { timeoutMs, validateOnly },
  )
  const results = made.map(({ name, error, message }) => {
    return { name, errorCode: error, errorMessage: message }
  })
  for (const [name, count] of counts) {
    if (count === 1) continue
    const errorMessage = 'Duplicate topic in request.'
    results.push({ name, errorCode: ErrorCode.INVALID_REQUEST, errorMessage })
  }
  return { results }
}
