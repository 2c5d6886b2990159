"""Why a network does poorly on somebody's pictures, and what each repair gains.

To read it: ``costs`` (what a repair is worth), ``results`` (what a diagnosis holds), ``diagnose``
(how it is made), ``causes`` and ``advice`` (what follows from it), then ``charts``, ``gallery`` and
``report`` (the HTML page).
"""
