"""The addresses of the small Django project in run.py."""

from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [path("accounts/", include("allauth.urls")), path("in/", lambda request: HttpResponse("in"))]
