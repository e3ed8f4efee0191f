# For `gem 'mountsea-gemini'` in a Gemfile.
require 'mountsea/gemini'
