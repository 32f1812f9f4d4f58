import { sysIdFor, type Records } from '../records/store.ts';
import { SEED } from './names.ts';

export function seedPeople(records: Records): void {
  const service = {
    active: 'true',
    locked_out: 'false',
    web_service_access_only: 'true',
    manager: SEED.sysIds.admin,
  };
  const utc = { time_zone: 'UTC', date_format: 'yyyy-MM-dd' };

  user(records, 'admin', 'System Administrator', {
    sys_id: SEED.sysIds.admin,
    time_zone: 'America/Los_Angeles',
    date_format: 'MM/dd/yyyy',
  });
  user(records, 'problem.admin', 'Problem Administrator', { sys_id: SEED.sysIds.problemAdmin, ...utc });
  // A comma in a name makes a displayed watch list ambiguous.
  user(records, 'beth.anglin', 'Anglin, Beth', utc);
  user(records, 'svc_deploy', 'Deployment Service', { ...service, ...utc });
  user(records, 'svc_deploy_ist', 'Deployment Service (India)', {
    ...service,
    time_zone: 'Asia/Kolkata',
    date_format: 'dd-MM-yyyy',
  });
  user(records, 'svc_read', 'Read Service', { ...service, ...utc });
  user(records, 'svc_none', 'Service without Roles', { ...service, ...utc });
  user(records, 'svc_nobasic', 'Service without Basic Authentication', { ...service, ...utc });
  user(records, 'svc_mfa', 'Service with a Second Factor', { ...service, ...utc });
  user(records, 'svc_locked', 'Locked Service', { ...service, ...utc, locked_out: 'true' });

  const manager = { manager: sysIdFor('sys_user', 'beth.anglin'), active: 'true' };
  records.insert('sys_user_group', { sys_id: SEED.sysIds.networkGroup, name: 'Network', ...manager });
  records.insert('sys_user_group', { sys_id: SEED.sysIds.hardwareGroup, name: 'Hardware', ...manager });
  records.insert('sys_user_group', { name: 'Database', ...manager });
  records.insert('cmdb_ci', { name: 'bond_trade_ny', assigned_to: sysIdFor('sys_user', 'beth.anglin') });
}

function user(
  records: Records,
  userName: string,
  name: string,
  more: Readonly<Record<string, string>>,
): void {
  records.insert('sys_user', {
    user_name: userName,
    name,
    email: `${userName}@example.com`,
    active: 'true',
    locked_out: 'false',
    web_service_access_only: 'false',
    ...more,
  });
}
