/* Put in front of ini.h as it is installed. Lines are read into a fixed buffer; base/ini counts them itself. */
#define INI_HANDLER_LINENO 0
#define INI_USE_STACK 1
#define INI_ALLOW_REALLOC 0
#define INI_MAX_LINE 4096
