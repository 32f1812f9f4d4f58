import { orderSchema, runTask } from './rotation-task.ts';

const [order = ''] = process.argv.slice(2);

await runTask(orderSchema.parse(JSON.parse(order)));
