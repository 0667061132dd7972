/**
 * LeaveGroup 0-5: members leave. v0-2 name one, v3 several, also by instance id alone (KIP-345), each with its own error;
 * v5 carries a reason, which is not used.
 */
import type { LeaveGroupRequest, LeaveGroupResponse } from '../../protocol/messages/13-leave-group.ts'
import type { Handler } from '../services.ts'

export const handleLeaveGroup: Handler<LeaveGroupRequest, LeaveGroupResponse> = (
  services,
  request,
  context,
) => services.groups.leaveGroup(request, context)
