/** DeleteGroups 0-2: removes groups that have no members, with all they committed. Each group is answered once. */
import type { DeleteGroupsRequest, DeleteGroupsResponse } from '../../protocol/messages/42-delete-groups.ts'
import type { Handler } from '../services.ts'

export const handleDeleteGroups: Handler<DeleteGroupsRequest, DeleteGroupsResponse> = async (
  services,
  request,
) => {
  const deletions = [...new Set(request.groupsNames)].map(async (groupId) => {
    return { groupId, errorCode: await services.groups.deleteGroup(groupId) }
  })
  return { results: await Promise.all(deletions) }
}
