// Shows the description of this very server. Nothing is asked of another one: no validator, no fonts, no other host.
// A token that is typed in stays in this page's memory and is gone when the page is.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  validatorUrl: null,
  queryConfigEnabled: false,
  persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
