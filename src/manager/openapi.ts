import { z } from 'zod';
import { problemSchema } from './api-schemas.ts';
import type { Access, Route } from './api-route.ts';

/** The OpenAPI 3.1 description of the routes, made from what they are served by. */
export function describeApi(routes: readonly Route[], version: string | undefined): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: describeRoute(route) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Reference manager', version: version ?? '1' },
    paths,
    components: {
      securitySchemes: {
        'api-token': { type: 'http', scheme: 'bearer' },
        'enrolment-token': { type: 'http', scheme: 'bearer' },
        'connect-token': { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      },
      schemas: { Problem: jsonSchema(problemSchema, 'output') },
    },
  };
}

function describeRoute(route: Route): object {
  const params = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const query = Object.entries(route.query).map(([name, { description, schema }]) => ({
    name,
    in: 'query',
    description,
    schema: jsonSchema(schema, 'output'),
  }));
  const replies = Object.entries(route.replies).map(([status, schema]) => [
    status,
    {
      description: route.summary,
      ...(schema === undefined ? {} : { content: jsonContent(jsonSchema(schema, 'output')) }),
    },
  ]);
  return {
    summary: route.summary,
    security: security(route.access),
    parameters: [...params, ...query],
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: jsonContent(jsonSchema(route.body, 'input')) } }),
    responses: {
      ...Object.fromEntries(replies),
      default: {
        description: 'The error, in words',
        content: jsonContent({ $ref: '#/components/schemas/Problem' }),
      },
    },
  };
}

function security(access: Access): object[] {
  return access === 'none' ? [] : [{ [access]: [] }];
}

function jsonContent(schema: object): object {
  return { 'application/json': { schema } };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...described } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return described;
}
