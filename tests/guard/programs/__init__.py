"""Programs that use keys once (`good_`) and twice (`bad_`), written before the guard that is judged by them."""
