import { html, redirect, type Reply } from './reply.ts';

/** What answers in place of the API: pages made for people, each with the mark by which it can be known. */

function page(title: string, content: string): string {
  return `<!DOCTYPE html><html><head><title>${title}</title></head><body>${content}</body></html>`;
}

export const hibernating = (): Reply =>
  html(
    200,
    page(
      'Instance Hibernating page',
      '<div class="instance-hibernating-page"><h1>Your instance is hibernating</h1></div>',
    ),
  );

export const hibernatingRedirect = (): Reply => redirect('https://developer.servicenow.com/dev.do');

export const waking = (): Reply =>
  html(200, page('Instance waking up', '<h1>Your instance is waking up</h1>'));

export const login = (): Reply =>
  html(
    200,
    page(
      'Log in | ServiceNow',
      '<form id="login" action="/login.do" method="post"><input name="user_name"><input name="user_password" type="password"></form>',
    ),
    [['X-Is-Logged-In', 'false']],
  );

const loginRedirect = (): Reply => redirect('/login.do');

export const singleSignOnRedirect = (): Reply => redirect('/login_with_sso.do?glide_sso_id=6c1d0e6a');

export const maintenance = (): Reply =>
  html(503, page('Maintenance', '<h1>This instance is undergoing maintenance</h1>'));

const GATEWAY_TITLES = {
  502: '502 Bad Gateway',
  503: '503 Service Temporarily Unavailable',
  504: '504 Gateway Time-out',
} as const;

/** From the load balancer, which knows nothing of ServiceNow. */
export const gateway = (status: keyof typeof GATEWAY_TITLES): Reply => {
  const title = GATEWAY_TITLES[status];
  return html(
    status,
    `<html><head><title>${title}</title></head><body><center><h1>${title}</h1></center><hr><center>nginx</center></body></html>`,
  );
};

/** From the servlet container, when the request is too long to be read. */
export const headerTooLarge = (): Reply =>
  html(
    400,
    page(
      'HTTP Status 400 – Bad Request',
      '<h1>HTTP Status 400 – Bad Request</h1><pre>java.lang.IllegalArgumentException: Request header is too large</pre>',
    ),
  );

const STATS = page('Stats', '<b>Instance name:</b> fake<br>');

/** Everything that is not the API. */
export function pageAt(path: string): Reply {
  if (path === '/' || path === '/login.do' || path === '/oauth_token.do/') return login();
  if (path === '/login_with_sso.do') return redirect('https://idp.example.com/sso/saml');
  return path === '/stats.do' ? html(200, STATS) : loginRedirect();
}
