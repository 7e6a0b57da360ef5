"""How `make app` serves notebooks/app.ipynb."""

c = get_config()

# Everything comes from this server. Voilà's template asks a public one for a font of icons that the page does not use;
# with no way out the browser would wait for it, so it is told not to ask.
c.Voila.tornado_settings = {
    "headers": {
        "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
        "connect-src 'self' ws: wss:"
    }
}
# The page stands ready before somebody asks for it, and the next one is made ready then.
c.VoilaConfiguration.preheat_kernel = True
c.VoilaConfiguration.default_pool_size = 1
# A page that was left open and not touched for half an hour gives its memory back.
c.MappingKernelManager.cull_idle_timeout = 1800
c.MappingKernelManager.cull_interval = 300
c.MappingKernelManager.cull_connected = True
