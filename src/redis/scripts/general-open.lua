-- Everything but the plain steps: made once a batch, and only if something asks for it.
local function load_general()
