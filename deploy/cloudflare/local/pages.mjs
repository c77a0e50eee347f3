// The REST API of Pages, simulated: workerd has no Pages. Projects are there when they are asked for;
// what wrangler deploys is kept in memory and served below /__local/pages/.

const assets = new Map(); // hash -> { bytes, type }
const sites = new Map(); // project -> manifest, of path -> hash

const ASSETS = "/client/v4/pages/assets/";
const PROJECT = /^pages\/projects\/([^/]+)(?:\/(upload-token|deployments)(?:\/[^/]+)?)?$/;
const SERVED = /^\/__local\/pages\/([^/]+)(\/.*)$/;
const FAR_AWAY = 9_999_999_999;

/** What the upload token of a project lets wrangler do: files by their hash. */
export async function uploaded(request, url) {
  const asked = await request.json();
  switch (url.pathname.slice(ASSETS.length)) {
    case "check-missing":
      return asked.hashes.filter((hash) => !assets.has(hash));
    case "upload":
      for (const { key, value, metadata } of asked) {
        const bytes = Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
        assets.set(key, { bytes, type: metadata.contentType });
      }
      return {};
    default:
      return {};
  }
}

/** A project, its upload token, its deployments; undefined for another path. */
export async function project(request, url, path) {
  const [, name, part] = path?.match(PROJECT) ?? [];
  if (name === undefined) return undefined;
  if (part === "upload-token") {
    const claims = btoa(JSON.stringify({ exp: FAR_AWAY, max_file_count_allowed: 20_000 }));
    return { jwt: `e30.${claims.replaceAll("=", "")}.unsigned` };
  }
  if (part === "deployments") {
    if (request.method === "POST") {
      sites.set(name, JSON.parse((await request.formData()).get("manifest")));
    }
    const latest_stage = { name: "deploy", status: "success" };
    const address = `${url.origin}/__local/pages/${name}`;
    return { id: name, url: address, environment: "production", aliases: [], latest_stage };
  }
  return { name, production_branch: "main", deployment_configs: { production: {}, preview: {} } };
}

export const isUpload = (url) => url.pathname.startsWith(ASSETS);

/** A file of a deployed site, undefined where the address is none of theirs. */
export function served(url) {
  const [, name, path] = url.pathname.match(SERVED) ?? [];
  const found = assets.get(sites.get(name)?.[path]);
  return found && new Response(found.bytes, { headers: { "content-type": found.type } });
}
