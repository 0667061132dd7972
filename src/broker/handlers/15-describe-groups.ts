/**
 * DescribeGroups 0-5: state and members of groups. A group that does not exist is Dead, without an error. v3 may ask what
 * the caller may do with each (KIP-430), v4 tells instance ids.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  DescribeGroupsRequest,
  DescribeGroupsResponse,
} from '../../protocol/messages/15-describe-groups.ts'
import { GROUP_OPERATIONS, NOT_ASKED } from '../authorized-operations.ts'
import { withoutTooManyRepeats } from '../mentions.ts'
import type { Handler } from '../services.ts'

export const handleDescribeGroups: Handler<DescribeGroupsRequest, DescribeGroupsResponse> = (
  services,
  request,
) => ({
  groups: withoutTooManyRepeats(request.groups).map((groupId) => {
    const group = services.groups.describeGroup(groupId)
    const told = request.includeAuthorizedOperations && group.errorCode === ErrorCode.NONE
    return { ...group, authorizedOperations: told ? GROUP_OPERATIONS : NOT_ASKED }
  }),
})
