/** Keeps one MongoDB user a duty. */
import { MongoServerError, type Db } from 'mongodb';
import { dutyUser, type Duty } from './duties.ts';

const userExists = 51_003;
const roleNotFound = 31;
const writeConcern = { w: 'majority', j: true } as const;

/**
 * Makes the user with these roles, or gives the one that is there this password and these roles besides those it has:
 * roles are only ever added here, so two processes that provision different instances can't undo each other's.
 */
export async function reconcileUser(
  admin: Db,
  duty: Duty,
  password: string,
  roles: readonly { readonly role: string; readonly db: string }[],
): Promise<void> {
  const user = dutyUser(duty);
  try {
    await admin.command({ createUser: user, pwd: password, roles, writeConcern });
    return;
  } catch (error) {
    if (!(error instanceof MongoServerError && error.code === userExists)) throw error;
  }
  await admin.command({ updateUser: user, pwd: password, writeConcern });
  await grantRoles(admin, duty, roles);
}

/** Adds roles to a user that is there. */
export async function grantRoles(
  admin: Db,
  duty: Duty,
  roles: readonly { readonly role: string; readonly db: string }[],
): Promise<void> {
  if (roles.length > 0) await admin.command({ grantRolesToUser: dutyUser(duty), roles, writeConcern });
}

/** Takes roles from a user. Those that it does not hold, or that are not there any more, change nothing. */
export async function revokeRoles(
  admin: Db,
  duty: Duty,
  roles: readonly { readonly role: string; readonly db: string }[],
): Promise<void> {
  for (const role of roles) {
    try {
      await admin.command({ revokeRolesFromUser: dutyUser(duty), roles: [role], writeConcern });
    } catch (error) {
      if (!(error instanceof MongoServerError && error.code === roleNotFound)) throw error;
    }
  }
}
