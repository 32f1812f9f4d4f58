/** Addresses as people paste them, turned into what is called. Nothing is completed that nobody typed. */

export interface InstanceAddress {
  /** Origin and context path, without a trailing slash. */
  baseUrl: string;
  /** Set if something of what was typed was left away. */
  warning: string | undefined;
}

/** What a URL parser and a server could read differently: encoded dots, slashes and backslashes, parameters. */
const AMBIGUOUS_PATH = /%2e|%2f|%5c|\\|;|\p{Cc}/iu;

/** Pages of the user interface: classic (`….do`, below a context path too) and the newer `/now/…` workspaces. */
const UI_PATH = /^\/(?:now|login)(?:\/|$)|\/[^/]+\.do(?:\/|$)/;

/** @throws TypeError whose message says what is wrong with the text, without naming the field */
export function parseInstanceUrl(text: string): InstanceAddress {
  const url = parseHttpUrl(text);
  const path = url.pathname.replace(/\/{2,}/g, '/').replace(/\/$/, '');
  if (UI_PATH.test(path) || url.search !== '' || url.hash !== '') {
    return {
      baseUrl: url.origin,
      warning: `"${url.pathname}" is a page of the user interface; ${url.origin} is used instead.`,
    };
  }
  return { baseUrl: url.origin + path, warning: undefined };
}

/** The AD FS base URL, also if the path of its token endpoint was typed along. */
export function parseAdfsUrl(text: string): URL {
  const url = parseHttpUrl(text);
  const path = url.pathname.replace(/\/+$/, '').replace(/\/adfs(?:\/oauth2(?:\/token)?)?$/, '');
  return new URL(`${url.origin}${path}/adfs/oauth2/token`);
}

/** A token URL as typed, but for ServiceNow's own, which leads to the login page with anything behind its name. */
export function parseTokenUrl(text: string): URL {
  const url = parseHttpUrl(text);
  const end = url.pathname.indexOf('/oauth_token.do');
  return end === -1 ? url : new URL(url.origin + url.pathname.slice(0, end) + '/oauth_token.do');
}

function parseHttpUrl(text: string): URL {
  const trimmed = text.trim();
  if (!/^https?:\/\//i.test(trimmed)) {
    throw new TypeError('must be a whole address that begins with https://');
  }
  if (!URL.canParse(trimmed)) throw new TypeError('is not an address');
  const url = new URL(trimmed);
  if (url.username !== '' || url.password !== '')
    throw new TypeError('must not hold a user name or password');
  const typedPath = trimmed.replace(/^https?:\/\/[^/?#\\]*/i, '').replace(/[?#].*$/s, '');
  if (AMBIGUOUS_PATH.test(typedPath) || /(^|\/)\.\.?(\/|$)/.test(typedPath)) {
    throw new TypeError('has a path with encoded or relative parts');
  }
  return url;
}
