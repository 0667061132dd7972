/**
 * ConsumerGroupDescribe 0-1 (KIP-848): epochs, members and assignments of consumer groups. v1 tells which members still speak
 * the classic protocol (KIP-1099). A group of the classic protocol is not found here: DescribeGroups tells of it.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  ConsumerGroupDescribeRequest,
  ConsumerGroupDescribeResponse,
} from '../../protocol/messages/69-consumer-group-describe.ts'
import { GROUP_OPERATIONS, NOT_ASKED } from '../authorized-operations.ts'
import { withoutTooManyRepeats } from '../mentions.ts'
import type { Handler } from '../services.ts'

export const handleConsumerGroupDescribe: Handler<
  ConsumerGroupDescribeRequest,
  ConsumerGroupDescribeResponse
> = ({ groups }, request) => ({
  groups: withoutTooManyRepeats(request.groupIds).map((groupId) => {
    const group = groups.describeConsumerGroup(groupId)
    const told = request.includeAuthorizedOperations && group.errorCode === ErrorCode.NONE
    return { ...group, authorizedOperations: told ? GROUP_OPERATIONS : NOT_ASKED }
  }),
})
